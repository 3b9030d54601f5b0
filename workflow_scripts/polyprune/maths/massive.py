"""Tokens of massive norm (Sun et al. 2024, arXiv:2402.17762).

    MASSIVE-1   M = { i : ‖h_i‖ > 5 median_j ‖h_j‖ }      of a layer's dense states h_i; the limit is ours

A few tokens, the first one and delimiters, have massive activations in many models. Squared, they outweigh hundreds of
others, so that pruning error and SNR tell what became of them; without them (DRIFT-3), what became of the rest.
"""

import numpy as np
from jaxtyping import Float64

_MASSIVE = 5.0


def largest_usual_norm(norms: Float64[np.ndarray, " n"]) -> float:
    """MASSIVE-1: the largest norm of a layer's dense state at which its token is not in M."""
    return _MASSIVE * float(np.median(norms))
