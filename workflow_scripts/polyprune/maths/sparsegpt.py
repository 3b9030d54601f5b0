"""SparseGPT (Frantar & Alistarh 2023, arXiv:2301.00774), U and dead inputs from CHOL-2.

    SGPT-1   ε_ij = w_ij² / U_jj²                     score, w as updated so far
    SGPT-2   e_ij = w_ij / U_jj if removed, else 0    what the removal leaves to the later columns, by OBS-1

Columns are taken in blocks of 128. Unstructured: at the start of a block the scores of the block choose by KEEP-4 over
all rows, so rows are not equally sparse, blocks are, and one weight more than ⌊s·n⌋ goes per block. n:m: when its first
column is reached, the m − n lowest of every group go (KEEP-2). Columns of dead inputs are 0 from the start. Updates are
in the dtype of U and cast to the dtype of the weights once, at the end; a kept weight that an update or the cast makes
exactly 0 still counts as kept.

IST-DASLab/sparsegpt, locuslab/wanda and llm-compressor agree bit for bit. NVIDIA's Model-Optimizer keeps the mask and
throws the updates away. locuslab/wanda reads n:m as n removed of m, which is the same for 2:4 and 4:8.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from polyprune.grammar import Scheme
from polyprune.maths.checks import require_full_float32
from polyprune.maths.cholesky import InverseFactor
from polyprune.maths.error_feedback import update_later, walk_block
from polyprune.maths.pruned_weight import PrunedWeight, in_storage_dtype
from polyprune.maths.selection import group_width, removed_by_threshold

COLUMNS_PER_STEP = 16
"""Columns that act on the rest of their block in one product; for speed only."""


def sparsegpt(
    weights: Sequence[Float[Tensor, "_ d_in"]], factor: InverseFactor, scheme: Scheme, block_size: int = 128
) -> list[PrunedWeight]:
    """Prune matrices that read the same input, in one walk along its columns; each has thresholds of its own.

    Raises:
        ValueError: m does not divide the columns or exceeds `block_size`, or a result is not finite.
    """
    require_full_float32()
    if scheme.n_of_m is not None:
        m = group_width(weights[0], scheme)
        if m > block_size:
            raise ValueError(f"a group of {m} columns ({scheme.text}) does not fit into a block of {block_size}")
        block_size -= block_size % m  # no group across two blocks
    n_rows = [len(weight) for weight in weights]
    columns = torch.cat([weight.to(factor.upper.dtype).T for weight in weights], dim=1)  # d_in x all rows
    columns[factor.dead] = 0
    removed = torch.zeros_like(columns, dtype=torch.bool)
    for start in range(0, len(columns), block_size):
        block = slice(start, min(start + block_size, len(columns)))
        upper = factor.upper[block, block]
        if scheme.n_of_m is None:
            errors = _prune_block(columns[block], removed[block], upper, scheme, n_rows)
        else:
            errors = _prune_block_in_groups(columns[block], removed[block], upper, *scheme.n_of_m)
        update_later(columns[block.stop :], factor.upper[block, block.stop :], errors)
    columns.masked_fill_(removed, 0)
    return [
        in_storage_dtype(after.T, ~gone.T, before.dtype)
        for after, gone, before in zip(columns.split(n_rows, 1), removed.split(n_rows, 1), weights, strict=True)
    ]


def _scores(columns: Float[Tensor, "width rows"], upper: Float[Tensor, "width width"]) -> Float[Tensor, "width rows"]:
    """SGPT-1."""
    return columns.square() / upper.diagonal().square()[:, None]


def _prune_block(
    columns: Float[Tensor, "width rows"],
    removed: Bool[Tensor, "width rows"],
    upper: Float[Tensor, "width width"],
    scheme: Scheme,
    n_rows: list[int],
) -> Float[Tensor, "width rows"]:
    """Unstructured: choose by the scores at the start of the block; fills `removed`, returns the errors SGPT-2."""
    scores = _scores(columns, upper)
    removed.copy_(torch.cat([removed_by_threshold(part, scheme) for part in scores.split(n_rows, dim=1)], dim=1))
    error_per_weight = removed / upper.diagonal()[:, None]

    def write_error(j: int, out: Tensor) -> None:
        torch.mul(columns[j], error_per_weight[j], out=out)

    return walk_block(columns, upper, COLUMNS_PER_STEP, write_error)


def _prune_block_in_groups(
    columns: Float[Tensor, "width rows"],
    removed: Bool[Tensor, "width rows"],
    upper: Float[Tensor, "width width"],
    n: int,
    m: int,
) -> Float[Tensor, "width rows"]:
    """n:m: choose in every group when it is reached; fills `removed`, returns the errors SGPT-2."""
    error_per_weight = torch.zeros_like(columns)

    def write_error(j: int, out: Tensor) -> None:
        if j % m == 0:
            group = slice(j, j + m)
            lowest = _scores(columns[group], upper[group, group]).argsort(dim=0, stable=True)[: m - n]
            removed[group].scatter_(0, lowest, True)
            torch.div(removed[group], upper.diagonal()[group, None], out=error_per_weight[group])
        torch.mul(columns[j], error_per_weight[j], out=out)

    return walk_block(columns, upper, m, write_error)
