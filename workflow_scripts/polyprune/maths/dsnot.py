"""DSnoT: dynamic sparse, no training (Zhang et al. 2024, ICLR, arXiv:2310.08915): better masks without gradients.

    DSNOT-1   C_ij = W_ij Σ_t x_tj / n_sequences     what weight ij adds to its output, summed over a sequence
    DSNOT-2   ε_i = Σ_{j removed} C_ij               what row i lacks
    DSNOT-3   regrow: of the weights removed at the start, the one with the largest sign(ε_i) C_ij / Var(x_j)
    DSNOT-4   prune: of those kept at the start, the one with sign(C_ij) = −sign(ε_i) and the lowest S_ij (WANDA-1)

A cycle swaps one pair per row and updates ε_i. A row is done when |ε_i| ≤ `threshold` (in units of DSNOT-1), or no
candidate of the right sign is left, or after `max_cycles`; with `same_sign` also when the next swap would turn the sign
of ε_i from what it was at the start. Nothing is swapped twice.

For unstructured masks: swaps keep the number of weights per row, not per group. The authors' code (threshold 0.1, 50
cycles, `--without_same_sign True`, which is not `same_sign`) uses the mean variance within sequences for DSNOT-3, where
this takes any variance given; goes on with candidates of the wrong sign when the others are used up; and by default
leaves the matrices of the MLP alone. Sums over a sequence are hundreds of thresholds large, so ε_i seldom ends below
one: without `same_sign` nearly all rows take all cycles, back and forth across 0. 50 swaps are 1 % of a row of 4096
weights, and most of a row of 64.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from polyprune.maths.checks import require_finite
from polyprune.maths.wanda import wanda_scores


def dsnot_keep(
    weight: Float[Tensor, "d_out d_in"],
    keep: Bool[Tensor, "d_out d_in"],
    input_sums: Float[Tensor, " d_in"],
    input_variance: Float[Tensor, " d_in"],
    input_squares: Float[Tensor, " d_in"],
    threshold: float,
    max_cycles: int,
    same_sign: bool,
) -> Bool[Tensor, "d_out d_in"]:
    """Refine the unstructured mask `keep`, by DSNOT-1..4.

    `input_sums` are sums over tokens per sequence; `input_squares` is STAT-1.

    Raises:
        ValueError: weights or statistics are not finite.
    """
    require_finite(input_sums, f"input sums of a {tuple(weight.shape)} matrix")
    require_finite(input_variance, f"input variances of a {tuple(weight.shape)} matrix")
    contribution = weight.float() * input_sums.float()
    regrow_gain = contribution / input_variance.float()  # infinite for a constant input, NaN for one always 0
    prune_cost = wanda_scores(weight, input_squares)
    regrowable, prunable = ~keep, keep.clone()
    keep = keep.clone()
    lacking = contribution.where(~keep, 0).sum(1)
    first_sign = lacking.sign()
    for _ in range(max_cycles):
        sign = lacking.sign()[:, None]
        gain = (sign * regrow_gain).where(regrowable & (sign * contribution > 0), -torch.inf)
        cost = prune_cost.where(prunable & (sign * contribution < 0), torch.inf)
        best_gain, regrown = gain.max(1)
        least_cost, pruned = cost.min(1)
        after = lacking + (contribution.gather(1, pruned[:, None]) - contribution.gather(1, regrown[:, None]))[:, 0]
        swapping = (lacking.abs() > threshold) & (best_gain > -torch.inf) & (least_cost < torch.inf)
        if same_sign:
            swapping &= after.sign() == first_sign
        rows = swapping.nonzero().flatten()
        if not len(rows):
            break
        regrown, pruned = regrown[rows], pruned[rows]
        keep[rows, regrown], regrowable[rows, regrown] = True, False
        keep[rows, pruned], prunable[rows, pruned] = False, False
        lacking[rows] = after[rows]
    return keep
