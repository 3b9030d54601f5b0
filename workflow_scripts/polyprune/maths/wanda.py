"""Wanda: pruning by weights and activations (Sun et al. 2024, arXiv:2306.11695).

    WANDA-1   S_ij = |W_ij| · ‖X_j‖₂                  eq. 1; ‖X_j‖₂ over all calibration tokens
    WANDA-2   per output row i the lowest S_i· go     section 3; n:m: of every m consecutive inputs

Public codes agree with each other: locuslab/wanda and llm-compressor compute scores in float32 even for 16-bit weights,
and divide ‖X_j‖² by the number of sequences, which changes no order within a row. The reference code's `use_variant` (a
search per row for a sparsity of its own) is off by default and not here.
"""

from jaxtyping import Bool, Float, Float32
from torch import Tensor

from polyprune.grammar.schemes import Scheme
from polyprune.maths.checks import require_finite
from polyprune.maths.selection import keep_per_row


def wanda_scores(
    weight: Float[Tensor, "d_out d_in"], input_squares: Float[Tensor, " d_in"]
) -> Float32[Tensor, "d_out d_in"]:
    """WANDA-1, comparable within a row only; `input_squares` is STAT-1.

    Raises:
        ValueError: weights or statistics are not finite.
    """
    require_finite(input_squares, f"input statistics of a {tuple(weight.shape)} matrix")
    scores = weight.float().abs().mul_(input_squares.float().sqrt())
    require_finite(scores, f"Wanda scores of a {tuple(weight.shape)} matrix")
    return scores


def wanda_keep(
    weight: Float[Tensor, "d_out d_in"], input_squares: Float[Tensor, " d_in"], scheme: Scheme
) -> Bool[Tensor, "d_out d_in"]:
    """WANDA-2: True where a weight stays."""
    return keep_per_row(wanda_scores(weight, input_squares), scheme)
