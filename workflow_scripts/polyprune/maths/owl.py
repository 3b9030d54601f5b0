"""OWL: layers with more outliers are pruned less (Yin et al. 2024, ICML, arXiv:2310.05175).

    OWL-1   D_l = share of a layer's weights whose Wanda score (WANDA-1) is above M times the layer's mean score
    OWL-2   s_l = s + mean(D') − D'_l     D'_l = 2λ (D_l − min D) / (max D − min D)

So the mean of s_l is s and no layer is more than 2λ from another. The authors' code (M = 5, λ = 0.08 by default) takes
scores from one pass of the dense model, gives 0/0 if all layers have the same share, and prunes 1 % of a layer where
OWL-2 asks for less than nothing. Here equal shares mean s everywhere, and an s_l outside of (0, 1) is refused.
"""

from collections.abc import Sequence
from fractions import Fraction

from jaxtyping import Float
from torch import Tensor

from polyprune.maths.checks import require_finite


def outlier_share(scores: Sequence[Float[Tensor, "_ _"]], factor: float) -> Fraction:
    """OWL-1 for the matrices of one layer; `factor` is M.

    Raises:
        ValueError: scores are not finite.
    """
    for matrix in scores:
        require_finite(matrix, f"scores of a {tuple(matrix.shape)} matrix")
    n_weights = sum(matrix.numel() for matrix in scores)
    mean = sum(matrix.double().sum().item() for matrix in scores) / n_weights
    return Fraction(sum(int((matrix > factor * mean).sum()) for matrix in scores), n_weights)


def layer_sparsities(values: Sequence[Fraction], sparsity: Fraction, spread: Fraction) -> list[Fraction]:
    """OWL-2, exact: what has the larger of `values` is pruned less; `spread` is λ, which turns that round if negative.

    Raises:
        ValueError: a layer's sparsity is not between 0 and 1.
    """
    lowest, width = min(values), max(values) - min(values)
    scaled = [2 * spread * (value - lowest) / width if width else Fraction(0) for value in values]
    mean = sum(scaled, Fraction(0)) / len(scaled)
    sparsities = [sparsity + mean - each for each in scaled]
    for layer, value in enumerate(sparsities):
        if not 0 < value < 1:
            raise ValueError(
                f"layer {layer} would get the sparsity {float(value):.4f}, outside of (0, 1), at overall sparsity "
                f"{float(sparsity):g} and spread {float(spread):g}; choose a smaller spread"
            )
    return sparsities
