"""How much of a matrix's output compression takes away, from the calibration statistic: for the log, not for results.

    ERR-1   ε² = Σ_i d_i H d_i^T / Σ_i w_i H w_i^T      d_i = row i of W − Ŵ

H is STAT-2 where a method keeps it; then ε = ‖(W − Ŵ) X^T‖ / ‖W X^T‖. Where a method keeps only STAT-1, H is its
diagonal, as if inputs were uncorrelated; where it keeps nothing, H is the identity.
"""

import torch
from jaxtyping import Float
from torch import Tensor

ROWS = 32
"""Rows that stand for all others, evenly spaced: products over all rows would cost as much as the Gram matrix."""


def output_error(
    before: Float[Tensor, "d_out d_in"],
    after: Float[Tensor, "d_out d_in"],
    inputs: Float[Tensor, "d_in d_in"] | Float[Tensor, " d_in"] | None,
) -> tuple[float, float]:
    """Numerator and denominator of ERR-1 over at most `ROWS` rows, times the rows that each stands for."""
    every = max(1, len(before) // ROWS)
    original = before[::every].float()
    rows = torch.cat([original - after[::every].float(), original])
    if inputs is None:
        weighted = rows
    elif inputs.dim() == 1:
        weighted = rows * inputs
    else:
        weighted = rows @ inputs
    lost, whole = (weighted * rows).sum(1).split(len(original))
    return every * lost.sum().item(), every * whole.sum().item()
