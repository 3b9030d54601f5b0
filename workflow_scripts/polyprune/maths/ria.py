"""RIA: relative importance and activations (Zhang et al. 2024, ICLR, "Plug-and-Play").

    RIA-1   S_ij = (|W_ij| / Σ_i |W_ij|  +  |W_ij| / Σ_j |W_ij|) · ‖X_j‖₂^a     share of its column plus of its row
    RIA-2   unstructured: the lowest of the matrix go, by KEEP-4, or per row by KEEP-1; n:m: KEEP-2

The authors' code (a = 0.5 by default) compares over the whole matrix unless told `--per_outneuron`; both are here. In a
column or row of zeros it divides 0 by 0; here such a share is 0. Its channel permutation for n:m is not here.
"""

from jaxtyping import Bool, Float, Float32
from torch import Tensor

from polyprune.grammar.schemes import Scheme
from polyprune.maths.checks import require_finite
from polyprune.maths.selection import keep_per_row, removed_by_threshold


def ria_scores(
    weight: Float[Tensor, "d_out d_in"], input_squares: Float[Tensor, " d_in"], exponent: float
) -> Float32[Tensor, "d_out d_in"]:
    """RIA-1, comparable within the matrix; `input_squares` is STAT-1, `exponent` is a.

    Raises:
        ValueError: weights or statistics are not finite.
    """
    require_finite(input_squares, f"input statistics of a {tuple(weight.shape)} matrix")
    magnitude = weight.float().abs()
    column_share = (magnitude / magnitude.sum(0, keepdim=True)).where(magnitude > 0, 0)
    row_share = (magnitude / magnitude.sum(1, keepdim=True)).where(magnitude > 0, 0)
    scores = (column_share + row_share) * input_squares.float().sqrt() ** exponent
    require_finite(magnitude, f"weights of a {tuple(weight.shape)} matrix")
    return scores


def ria_keep(
    weight: Float[Tensor, "d_out d_in"],
    input_squares: Float[Tensor, " d_in"],
    scheme: Scheme,
    exponent: float,
    per_row: bool,
) -> Bool[Tensor, "d_out d_in"]:
    """RIA-2: True where a weight stays; an n:m scheme is per row in any case."""
    scores = ria_scores(weight, input_squares, exponent)
    if per_row or scheme.n_of_m is not None:
        return keep_per_row(scores, scheme)
    return ~removed_by_threshold(scores, scheme)
