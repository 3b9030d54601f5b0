"""The walk along the columns of a block as one GPU kernel, in Triton: OBS-1 with the errors of SGPT-2 or GPTQ-1.

A program takes all columns of the block for a few rows, holds them in registers from the first column to the last, and
writes each weight once. Column by column it is tens of launches each; rows do not depend on each other.

Compiled for NVIDIA GPUs on first use. Import it where there is one: on others there need not be a `triton`.
"""
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false, reportOperatorIssue=false
# (Triton reads the kernels itself; its annotations are not types)

import torch
import triton
import triton.language as tl
from jaxtyping import Bool, Float32, Int64, UInt8
from torch import Tensor

ROWS = 32
"""Rows of a program. With 128 columns and 4 warps, 32 weights a thread."""


def walk_removed(
    columns: Float32[Tensor, "width rows"], upper: Float32[Tensor, "width width"], removed: Bool[Tensor, "width rows"]
) -> None:
    """OBS-1 with the errors SGPT-2 of the weights in `removed`; `columns` end as pruned."""
    _launch_pruning(columns, upper, removed, 0, 0)


def walk_groups(
    columns: Float32[Tensor, "width rows"], upper: Float32[Tensor, "width width"], n: int, m: int
) -> Bool[Tensor, "width rows"]:
    """OBS-1 with the errors SGPT-2 of the m − n weights of lowest SGPT-1 in every group of m; which these are.

    `columns` end as pruned; m must divide the width.
    """
    removed = torch.zeros_like(columns, dtype=torch.bool)
    _launch_pruning(columns, upper, removed, m - n, m)
    return removed


def walk_grids(
    columns: Float32[Tensor, "width rows"],
    codes: UInt8[Tensor, "width rows"],
    upper: Float32[Tensor, "width width"],
    scales: Float32[Tensor, "n_groups rows"],
    zeros: Float32[Tensor, "n_groups rows"],
    group_of_column: Int64[Tensor, " width"],
    highest_code: int,
) -> None:
    """OBS-1 with the errors GPTQ-1; `columns` end as the values of the `codes` that are filled."""
    width, n_rows = columns.shape
    _quantise[(triton.cdiv(n_rows, ROWS),)](
        columns, codes, upper.contiguous(), scales, zeros, group_of_column, width, n_rows, highest_code,
        WIDTH=triton.next_power_of_2(width), ROWS=ROWS,
    )  # fmt: skip


def _launch_pruning(columns: Tensor, upper: Tensor, removed: Tensor, n_removed: int, group: int) -> None:
    width, n_rows = columns.shape
    _prune[(triton.cdiv(n_rows, ROWS),)](
        columns, removed.view(torch.uint8), upper.contiguous(), width, n_rows,
        WIDTH=triton.next_power_of_2(width), ROWS=ROWS, N_REMOVED=n_removed, GROUP=group,
    )  # fmt: skip


@triton.jit
def _prune(
    columns, removed_bytes, upper, width, n_rows,
    WIDTH: tl.constexpr, ROWS: tl.constexpr, N_REMOVED: tl.constexpr, GROUP: tl.constexpr,
):  # fmt: skip
    """Walk a block with the errors SGPT-2; choose N_REMOVED of every GROUP columns, or if 0 take `removed_bytes`."""
    column = tl.arange(0, WIDTH)
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    place = column[:, None] * n_rows + row[None, :]
    inside = (column[:, None] < width) & (row[None, :] < n_rows)
    weight = tl.load(columns + place, mask=inside, other=0.0)
    removed = tl.load(removed_bytes + place, mask=inside, other=0) != 0
    diagonal = tl.load(upper + column * (width + 1), mask=column < width, other=1.0)
    for j in range(width):
        if GROUP > 0:  # known when it compiles; the next line is not  # noqa: SIM102
            if j % GROUP == 0:
                in_group = (column >= j) & (column < j + GROUP)
                score = tl.div_rn(weight * weight, tl.broadcast_to((diagonal * diagonal)[:, None], weight.shape))
                score = tl.where(in_group[:, None], score, float("inf"))
                for _ in tl.static_range(N_REMOVED):
                    lowest = column[:, None] == tl.argmin(score, axis=0)[None, :]
                    removed = removed | lowest
                    score = tl.where(lowest, float("inf"), score)
        now = column == j
        lost = tl.sum(tl.where(now[:, None] & removed, weight, 0.0), axis=0)
        error = tl.div_rn(lost, tl.broadcast_to(tl.load(upper + j * (width + 1)), lost.shape))
        later = tl.load(upper + j * width + column, mask=(column > j) & (column < width), other=0.0)
        weight -= later[:, None] * error[None, :]
    tl.store(columns + place, tl.where(removed, 0.0, weight), mask=inside)
    tl.store(removed_bytes + place, removed.to(tl.uint8), mask=inside)


@triton.jit
def _quantise(
    columns, codes, upper, scales, zeros, group_of_column, width, n_rows, highest_code,
    WIDTH: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """Walk a block with the errors GPTQ-1.

    Steps from zero are held to the grid before they are rounded, not after: the same, as its ends are whole numbers.
    Then 1.5 · 2²³ added and taken away rounds to the nearest whole number, halves to the even one.
    """
    column = tl.arange(0, WIDTH)
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    place = column[:, None] * n_rows + row[None, :]
    inside = (column[:, None] < width) & (row[None, :] < n_rows)
    weight = tl.load(columns + place, mask=inside, other=0.0)
    for j in range(width):
        grid = tl.load(group_of_column + j) * n_rows + row
        scale = tl.load(scales + grid, mask=row < n_rows, other=1.0)
        zero = tl.load(zeros + grid, mask=row < n_rows, other=0.0)
        now = column == j
        before = tl.sum(tl.where(now[:, None], weight, 0.0), axis=0)
        steps = tl.minimum(tl.maximum(tl.div_rn(before, scale), -zero), highest_code - zero)
        steps = (steps + 12582912.0) - 12582912.0
        value = scale * steps
        error = tl.div_rn(before - value, tl.broadcast_to(tl.load(upper + j * (width + 1)), before.shape))
        later = tl.load(upper + j * width + column, mask=(column > j) & (column < width), other=0.0)
        weight = tl.where(now[:, None], value[None, :], weight - later[:, None] * error[None, :])
        tl.store(codes + j * n_rows + row, (steps + zero).to(tl.uint8), mask=row < n_rows)
    tl.store(columns + place, weight, mask=inside)
