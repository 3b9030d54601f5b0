"""REAP: which experts of a mixture go (Lasby et al. 2025, arXiv:2510.13999, ICLR 2026).

    REAP-1   S_e = 1/|X_e| Σ_{x ∈ X_e} g_e(x) ‖f_e(x)‖₂      saliency of expert e
    REAP-2   of E experts of a layer the ⌊share · E⌋ with the smallest S_e go; of equal ones the first

X_e are the tokens that the router sends to e, f_e(x) is what the expert makes of one and g_e(x) ≥ 0 the weight by which
the layer adds that to its output: so S_e is the mean norm of what the expert contributes. An expert that no token was
sent to has S_e = 0. The authors' code (CerebrasResearch/reap, `pruning_metrics.py`) takes for g_e a softmax of the
router's logits, normalised over the chosen ones since March 2026; here it is the family's own weight, as in the
equation: the two are the same for families whose routers do that, such as Mixtral and Qwen3-MoE.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from polyprune.grammar.schemes import Scheme
from polyprune.maths.checks import require_finite


def saliency(
    norms: Float64[Tensor, " n_experts"], counts: Int64[Tensor, " n_experts"]
) -> Float64[Tensor, " n_experts"]:
    """REAP-1 from sums of the norms of contributions, and how many tokens each expert was sent."""
    return norms / counts.clamp(min=1)


def experts_kept(saliencies: Float64[Tensor, " n_experts"], scheme: Scheme) -> Bool[Tensor, " n_experts"]:
    """REAP-2: True where an expert stays.

    Raises:
        ValueError: saliencies are not finite.
    """
    require_finite(saliencies, "saliencies of experts")
    keep = torch.ones(len(saliencies), dtype=torch.bool)
    keep[saliencies.cpu().sort(stable=True).indices[: scheme.removed_of(len(saliencies))]] = False
    return keep
