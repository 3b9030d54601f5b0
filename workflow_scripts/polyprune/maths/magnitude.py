"""Magnitude pruning, the baseline that reads no calibration data (Han et al. 2015, arXiv:1506.02626).

    MAG-1   unstructured: |W_ij| ≤ the value of rank ⌊s·d_out·d_in⌋ (from 0) of the matrix goes   (KEEP-4)
    MAG-2   n:m: of every m consecutive inputs of a row the m − n smallest |W_ij| go              (KEEP-2)

MAG-1 is the rule of locuslab/wanda: `≤` removes at least one weight more than asked, and all that tie with the
threshold: a 4096 x 4096 bfloat16 matrix at sparsity 0.50 loses about 0.501 of its weights.
"""

from jaxtyping import Bool, Float
from torch import Tensor

from polyprune.grammar.schemes import Scheme
from polyprune.maths.checks import require_finite
from polyprune.maths.selection import keep_per_row, removed_by_threshold


def magnitude_keep(weight: Float[Tensor, "d_out d_in"], scheme: Scheme) -> Bool[Tensor, "d_out d_in"]:
    """MAG-1 or MAG-2: True where a weight stays.

    Raises:
        ValueError: weights are not finite, or m does not divide the number of columns.
    """
    require_finite(weight, f"weights of a {tuple(weight.shape)} matrix")
    if scheme.n_of_m is None:
        return ~removed_by_threshold(weight.abs(), scheme)
    return keep_per_row(weight.abs(), scheme)
