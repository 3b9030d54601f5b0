"""How alike languages use a layer: ours, after M-Wanda's sparsity by layer (Choenni and Titov 2025, arXiv:2505.21171).

    CORR-1   C_l = mean over the inputs of layer l's matrices and over pairs of languages of Pearson's correlation, over
                   features j, of their root mean squares a_lj (STAT-5)

A layer's sparsity follows by OWL-2 from 1 − C_l: where languages need different features, more weights matter to one
of them, and less is pruned. M-Wanda is said to follow such correlations too, but not which way: this way is our
decision, and a negative spread is the other one.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float64
from torch import Tensor

from polyprune.maths.checks import require_finite


def correlation_of_languages(inputs: Sequence[Float64[Tensor, "_ _"]]) -> float:
    """CORR-1 of the inputs of a layer, (n_languages, d_in) each; those of one language, as of an expert, do not count.

    Raises:
        ValueError: no input is of two languages, or of one language all features are equally large or not finite.
    """
    found: list[float] = []
    for sizes in inputs:
        n_languages = len(sizes)
        if n_languages < 2:
            continue
        require_finite(sizes, f"sizes of {sizes.shape[1]} input features in {n_languages} languages")
        centred = sizes - sizes.mean(dim=1, keepdim=True)
        norms = centred.norm(dim=1)
        if not norms.all():
            raise ValueError(f"{sizes.shape[1]} input features are equally large in a language: they do not correlate")
        units = centred / norms[:, None]
        pairs = torch.triu_indices(n_languages, n_languages, offset=1)
        found.append((units @ units.T)[pairs[0], pairs[1]].mean().item())
    if not found:
        raise ValueError("no input has tokens of two languages, which could correlate; calibrate on a mix, e.g. de-en")
    return sum(found) / len(found)
