"""Optimal brain surgeon along the columns: later weights make up for what a column lost.

    OBS-1   w_ik ← w_ik − e_ij U_jk   for k > j     U from CHOL-2, e_ij the error of column j divided by U_jj
                                                    (SparseGPT, arXiv:2301.00774, Algorithm 1; GPTQ the same)
    OBS-2   W_B ← W_B + D_P R_PB U_BB               the columns B of a block, after all columns P before it;
                                                    D = W − Ŵ is what these lost, R from CHOL-3

OBS-2 is what OBS-1 adds up to: the errors of P are E_P = D_P R_PP, and U_PB = −R_PP⁻¹ R_PB U_BB. The public codes keep
E and apply it to all later columns, which needs the whole of U. From D only U_BB is needed, the inverse of R_BB: H is
never inverted, and every column is written once.

Within a block the public codes apply column j to the rest at once. Here a column first collects what the few columns
before it did, and these few then act on the rest of the block in one product: the same sums, in another order, in less
than half of the time. On a GPU a kernel does without both (`column_kernels.py`).
"""

from collections.abc import Callable
from types import ModuleType

import torch
from jaxtyping import Float
from torch import Tensor

from polyprune.maths.cholesky import HessianFactor


def made_up(
    lost: Float[Tensor, "d_in rows"], block: slice, upper: Float[Tensor, "width width"], factor: HessianFactor
) -> Float[Tensor, "width rows"]:
    """OBS-2: the columns of `block` with all updates from before it, as a new tensor.

    `lost` holds D for the columns before the block, and the block's original columns; `upper` is U_BB.
    """
    weights_of_lost = factor.root[: block.start, block] @ upper
    return torch.addmm(lost[block], weights_of_lost.T, lost[: block.start])


def gpu_kernels(columns: Float[Tensor, "width rows"]) -> ModuleType | None:
    """The module `column_kernels`, which walks a block in one launch, for float32 on a GPU; else None: `walk_block`."""
    if not columns.is_cuda or columns.dtype != torch.float32:
        return None
    from polyprune.maths import column_kernels

    return column_kernels


def walk_block(
    columns: Float[Tensor, "width rows"],
    upper: Float[Tensor, "width width"],
    step: int,
    write_error: Callable[[int, Tensor], None],
) -> None:
    """Apply OBS-1 within a block of columns in place; each ends as it was when the walk reached it.

    `write_error(j, out)` is called when column j has taken all updates, and writes e_j to `out`. When j is a multiple
    of `step`, the columns j to j + step − 1 are all up to date.
    """
    errors = torch.empty_like(columns[:step])
    for start in range(0, len(columns), step):
        now = slice(start, min(start + step, len(columns)))
        for j in range(now.start, now.stop):
            if j > start:
                columns[j].addmv_(errors[: j - start].T, upper[start:j, j], alpha=-1)
            write_error(j, errors[j - start])
        columns[now.stop :].addmm_(upper[now, now.stop :].T, errors[: now.stop - start], alpha=-1)
