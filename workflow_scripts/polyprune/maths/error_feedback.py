"""Optimal brain surgeon along the columns: later weights make up for what a column lost.

    OBS-1   w_ik ← w_ik − e_ij U_jk   for k > j       U from CHOL-2, e_ij the error of column j divided by U_jj
                                                      (SparseGPT, arXiv:2301.00774, Algorithm 1; GPTQ the same)

The public codes apply column j to the rest of its block at once. Here a column first collects what the few columns
before it did, and these few then act on the rest of the block in one product: the same sums, in another order, in
less than half of the time.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor


def walk_block(
    columns: Float[Tensor, "width rows"],
    upper: Float[Tensor, "width width"],
    step: int,
    write_error: Callable[[int, Tensor], None],
) -> Float[Tensor, "width rows"]:
    """Apply OBS-1 within a block of columns in place, and return the errors of all its columns.

    `write_error(j, out)` is called when column j has taken all updates, and writes e_j to `out`. When j is a multiple
    of `step`, the columns j to j + step − 1 are all up to date.
    """
    errors = torch.empty_like(columns)
    for start in range(0, len(columns), step):
        now = slice(start, min(start + step, len(columns)))
        for j in range(now.start, now.stop):
            if j > start:
                columns[j].addmv_(errors[start:j].T, upper[start:j, j], alpha=-1)
            write_error(j, errors[j])
        update_later(columns[now.stop :], upper[now, now.stop :], errors[now])
    return errors


def update_later(
    later: Float[Tensor, "n_later rows"],
    upper: Float[Tensor, "width n_later"],
    errors: Float[Tensor, "width rows"],
) -> None:
    """OBS-1 for columns outside of the block that made the errors, in place."""
    later.addmm_(upper.T, errors, alpha=-1)
