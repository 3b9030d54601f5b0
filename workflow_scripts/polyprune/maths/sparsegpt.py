"""SparseGPT (Frantar & Alistarh 2023, arXiv:2301.00774), U and dead inputs from CHOL-1 and CHOL-2.

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

from polyprune.grammar.schemes import Scheme
from polyprune.maths.checks import require_full_float32
from polyprune.maths.cholesky import HessianFactor
from polyprune.maths.error_feedback import gpu_kernels, made_up, walk_block
from polyprune.maths.pruned_weight import PrunedWeight, in_storage_dtype
from polyprune.maths.selection import group_width, removed_by_threshold, zero_unless

COLUMNS_PER_STEP = 16
"""Columns that act on the rest of their block in one product; for speed only."""


def sparsegpt(
    weights: Sequence[Float[Tensor, "_ d_in"]], factor: HessianFactor, scheme: Scheme, block_size: int = 128
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
    lost = torch.cat([weight.to(factor.root.dtype).T for weight in weights], dim=1)  # OBS-2; d_in x all rows
    lost[factor.dead] = 0
    pruned = [torch.empty_like(weight, memory_format=torch.contiguous_format) for weight in weights]
    kept = [torch.empty_like(weight, dtype=torch.bool) for weight in pruned]
    for start in range(0, len(lost), block_size):
        block = slice(start, min(start + block_size, len(lost)))
        upper = factor.upper(block)
        columns = made_up(lost, block, upper, factor)
        if scheme.n_of_m is None:
            keep = _prune_block(columns, upper, scheme, n_rows)
        else:
            keep = _prune_block_in_groups(columns, upper, *scheme.n_of_m)
        columns = zero_unless(keep, columns)
        lost[block] -= columns
        for part, weight in zip(columns.split(n_rows, 1), pruned, strict=True):
            weight[:, block] = part.T
        for part, mask in zip(keep.split(n_rows, 1), kept, strict=True):
            mask[:, block] = part.T
    return [in_storage_dtype(weight, mask, weight.dtype) for weight, mask in zip(pruned, kept, strict=True)]


def _scores(columns: Float[Tensor, "width rows"], upper: Float[Tensor, "width width"]) -> Float[Tensor, "width rows"]:
    """SGPT-1."""
    return columns.square() / upper.diagonal().square()[:, None]


def _prune_block(
    columns: Float[Tensor, "width rows"], upper: Float[Tensor, "width width"], scheme: Scheme, n_rows: list[int]
) -> Bool[Tensor, "width rows"]:
    """Unstructured: choose by the scores at the start of the block, and walk it with the errors SGPT-2."""
    scores = _scores(columns, upper)
    removed = torch.cat([removed_by_threshold(part, scheme) for part in scores.split(n_rows, dim=1)], dim=1)
    if kernels := gpu_kernels(columns):
        kernels.walk_removed(columns, upper, removed)
        return ~removed
    error_per_weight = removed / upper.diagonal()[:, None]

    def write_error(j: int, out: Tensor) -> None:
        torch.mul(columns[j], error_per_weight[j], out=out)

    walk_block(columns, upper, COLUMNS_PER_STEP, write_error)
    return ~removed


def _prune_block_in_groups(
    columns: Float[Tensor, "width rows"], upper: Float[Tensor, "width width"], n: int, m: int
) -> Bool[Tensor, "width rows"]:
    """n:m: walk the block with the errors SGPT-2, and choose in every group when it is reached."""
    if kernels := gpu_kernels(columns):
        return ~kernels.walk_groups(columns, upper, n, m)
    removed = torch.zeros_like(columns, dtype=torch.bool)
    error_per_weight = torch.zeros_like(columns)

    def write_error(j: int, out: Tensor) -> None:
        if j % m == 0:
            group = slice(j, j + m)
            lowest = _scores(columns[group], upper[group, group]).argsort(dim=0, stable=True)[: m - n]
            removed[group].scatter_(0, lowest, True)
            torch.div(removed[group], upper.diagonal()[group, None], out=error_per_weight[group])
        torch.mul(columns[j], error_per_weight[j], out=out)

    walk_block(columns, upper, m, write_error)
    return ~removed
