"""Language-aware Wanda: ours, after what M-Wanda is said to do (Choenni and Titov 2025, arXiv:2505.21171).

    LWANDA-1   σ_j  = √(Σ_l (a_lj − mean_l a_lj)² / L)        over the L languages of the calibration text, by STAT-5
    LWANDA-2   S_ij = |W_ij| · (‖X_j‖₂ + λ √T σ_j)            per output row the lowest go, as in WANDA-2

Divided by √T this is |W_ij| (a_j + λ σ_j), with a_j over all T tokens: a feature that languages use differently counts
for more than its size over all text. σ_j has the unit of a_j, so that no mask depends on the scale of the inputs. With
λ = 0, one language, or languages that use all features alike it is Wanda's score. Languages weigh the same in σ_j
however many tokens they have. M-Wanda's own equations are not known here; its factor for how often a feature is active
has no counterpart.
"""

from jaxtyping import Bool, Float, Float32, Float64
from torch import Tensor

from polyprune.grammar.schemes import Scheme
from polyprune.maths.checks import require_finite
from polyprune.maths.selection import keep_per_row


def deviation_of_languages(root_mean_squares: Float64[Tensor, "n_languages d_in"]) -> Float64[Tensor, " d_in"]:
    """LWANDA-1, of STAT-5; exactly 0 where all languages have the same."""
    return root_mean_squares.std(dim=0, correction=0)


def lwanda_scores(
    weight: Float[Tensor, "d_out d_in"],
    input_squares: Float[Tensor, " d_in"],
    n_tokens: int,
    root_mean_squares: Float64[Tensor, "n_languages d_in"],
    factor: float,
) -> Float32[Tensor, "d_out d_in"]:
    """LWANDA-2, comparable within a row only; STAT-1 and STAT-5 over `n_tokens` tokens, `factor` is λ.

    Raises:
        ValueError: weights or statistics are not finite.
    """
    what = f"of a {tuple(weight.shape)} matrix"
    require_finite(input_squares, f"input statistics {what}")
    added = factor * n_tokens**0.5 * deviation_of_languages(root_mean_squares)
    norms = (input_squares.float().sqrt() + added).float()
    scores = weight.float().abs() * norms
    require_finite(scores, f"language-aware Wanda scores {what}")
    return scores


def lwanda_keep(
    weight: Float[Tensor, "d_out d_in"],
    input_squares: Float[Tensor, " d_in"],
    n_tokens: int,
    root_mean_squares: Float64[Tensor, "n_languages d_in"],
    factor: float,
    scheme: Scheme,
) -> Bool[Tensor, "d_out d_in"]:
    """True where a weight stays, by LWANDA-2."""
    return keep_per_row(lwanda_scores(weight, input_squares, n_tokens, root_mean_squares, factor), scheme)
