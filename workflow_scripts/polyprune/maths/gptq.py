"""GPTQ (Frantar et al. 2023, arXiv:2210.17323), dead inputs and U from CHOL-1 and 2, codes and values from GRID-1..3.

    GPTQ-1   e_ij = (w_ij − ŵ_ij) / U_jj     what the rounding leaves to the later columns, by OBS-1
    GPTQ-2   order of the walk: as stored, or by falling G_jj ("act order"), dead inputs last

Grids are dynamic, taken from the weights as updated when the walk reaches the group, or static, from the original
weights. With act order, dynamic groups are neighbours in the walk (`group_of_column` says which columns they hold),
static ones are neighbours in the matrix.

"GPTQ at 4 bit" is not one method: IST-DASLab/gptq has dynamic groups in stored order and λ = 0.01, llm-compressor
static groups and act order, transformers' GPTQConfig λ = 0.1 and symmetric grids. So all of these are settings. One
quirk of IST-DASLab/gptq is not followed: dynamic groups that start inside of its block of 128 columns take their grid
from weights that lack the updates of that block. Here a group finds all its columns up to date.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from polyprune.maths.checks import require_finite, require_full_float32
from polyprune.maths.cholesky import HessianFactor, hessian_factor
from polyprune.maths.error_feedback import gpu_kernels, made_up, walk_block
from polyprune.maths.grids import Grid, GridSettings, Quantised

COLUMNS_PER_STEP = 16
"""Columns that act on the rest of their block in one product; for speed only."""


def gptq(
    weights: Sequence[Float[Tensor, "_ d_in"]],
    gram: Float[Tensor, "d_in d_in"],
    damping: float,
    settings: GridSettings,
    where: str,
    block_size: int = 128,
) -> list[Quantised]:
    """Quantise matrices that read the same input, in one walk along its columns; `where` names it in errors.

    Raises:
        ValueError: weights or `gram` are not finite.
        NotPositiveDefiniteError: `gram` cannot be factored.
    """
    require_full_float32()
    order = _walk_order(gram, settings)
    factor = hessian_factor(gram[order][:, order], damping, where)
    n_rows = [len(weight) for weight in weights]
    columns = torch.cat([weight.to(factor.root.dtype).T for weight in weights], dim=1)[order]  # d_in x all rows
    require_finite(columns, f"weights of {where}")
    columns[factor.dead] = 0

    positions = torch.arange(len(order), device=order.device)
    group_of_position = (order if settings.static_groups else positions) // settings.group_size
    static_grids = _static_grids(columns, group_of_position, settings) if settings.static_groups else None
    codes, grids = _walk(columns, factor, static_grids, group_of_position.tolist(), settings, block_size)

    position = order.argsort()
    rows = torch.arange(columns.shape[1], device=columns.device).split(n_rows)
    return [
        Quantised.of(
            codes[position][:, own],
            [Grid(grid.scale[own], grid.zero[own], grid.highest_code) for grid in grids],
            group_of_position[position],
        )
        for own in rows
    ]


def _walk_order(gram: Float[Tensor, "d_in d_in"], settings: GridSettings) -> Int64[Tensor, " d_in"]:
    """GPTQ-2: the column at each position of the walk."""
    if settings.act_order:
        return gram.diagonal().argsort(descending=True, stable=True)
    return torch.arange(len(gram), device=gram.device)


def _static_grids(
    columns: Float[Tensor, "d_in rows"], group_of_position: Int64[Tensor, " d_in"], settings: GridSettings
) -> list[Grid]:
    n_groups = int(group_of_position.max()) + 1
    return [Grid.of(columns[group_of_position == group], settings) for group in range(n_groups)]


def _walk(
    lost: Float[Tensor, "d_in rows"],
    factor: HessianFactor,
    static_grids: list[Grid] | None,
    group_of_position: list[int],
    settings: GridSettings,
    block_size: int,
) -> tuple[UInt8[Tensor, "d_in rows"], list[Grid]]:
    """Codes and grids. Without static grids, a group's grid is made on reaching it.

    `lost` holds the original columns; in the end, what each lost (OBS-2).
    """
    codes = torch.empty_like(lost, dtype=torch.uint8)
    grids = [] if static_grids is None else static_grids
    for block in _blocks(len(lost), settings.group_size, block_size):
        upper = factor.upper(block)
        columns = made_up(lost, block, upper, factor)
        if static_grids is None and block.start % settings.group_size == 0:
            group = slice(block.start, min(block.start + settings.group_size, len(lost)))
            grids.append(Grid.of(columns if group == block else _up_to_date(lost, group, factor), settings))
        _quantise_block(columns, codes[block], upper, grids, group_of_position[block])
        lost[block] -= columns
    return codes, grids


def _up_to_date(lost: Float[Tensor, "d_in rows"], group: slice, factor: HessianFactor) -> Float[Tensor, "width rows"]:
    """A group's columns with all updates from before it; none come before the first, maybe the whole row."""
    return made_up(lost, group, factor.upper(group), factor) if group.start else lost[group]


def _blocks(d_in: int, group_size: int, block_size: int) -> list[slice]:
    """Blocks of at most `block_size` columns, none across two groups: a group's columns are up to date at its start."""
    starts = [
        start
        for group_start in range(0, d_in, group_size)
        for start in range(group_start, min(group_start + group_size, d_in), block_size)
    ]
    return [slice(start, stop) for start, stop in zip(starts, [*starts[1:], d_in], strict=True)]


def _quantise_block(
    columns: Float[Tensor, "width rows"],
    codes: UInt8[Tensor, "width rows"],
    upper: Float[Tensor, "width width"],
    grids: list[Grid],
    group_of_column: list[int],
) -> None:
    """Fill `codes`, and walk `columns` with the errors GPTQ-1; they end as the values of their codes."""
    if kernels := gpu_kernels(columns):
        first, last = min(group_of_column), max(group_of_column)
        scales = torch.stack([grid.scale for grid in grids[first : last + 1]])
        zeros = torch.stack([grid.zero for grid in grids[first : last + 1]])
        groups = torch.tensor(group_of_column, device=columns.device) - first
        kernels.walk_grids(columns, codes, upper, scales, zeros, groups, grids[first].highest_code)
        return
    grid_of_column = [grids[group] for group in group_of_column]

    def write_error(j: int, out: Tensor) -> None:
        code = grid_of_column[j].codes(columns[j])
        codes[j] = code
        value = grid_of_column[j].values(code)
        torch.div(columns[j] - value, upper[j, j], out=out)
        columns[j] = value

    walk_block(columns, upper, COLUMNS_PER_STEP, write_error)
