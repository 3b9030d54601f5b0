"""Routing of languages over experts: who is sent where, and how alike two ways of sending are.

    ROUTE-1   p_e = c_e / Σ_e c_e                     share of a language's choices that expert e gets
    ROUTE-2   O(p, q) = 1 − ½ KL(p‖m) − ½ KL(q‖m)     overlap, with m = ½ (p + q) and logarithms to base 2
    ROUTE-3   lost = Σ_{e removed} p_e                share of the choices that went to experts which are no more

A token makes as many choices as the router sends it to experts. KL(p‖m) + KL(q‖m), halved, is the Jensen-Shannon
divergence (Lin 1991), by which Bandarkar et al. 2025 (arXiv:2510.04694) compare how languages are routed; so O is 1
where two are routed alike, and 0 where they share no expert.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.special import rel_entr


def shares(counts: Int64[np.ndarray, "n_rows n_experts"]) -> Float64[np.ndarray, "n_rows n_experts"]:
    """ROUTE-1 from how often each expert was chosen; each row was sent somewhere."""
    return counts / counts.sum(axis=-1, keepdims=True)


def overlap(
    p: Float64[np.ndarray, "n_rows n_experts"], q: Float64[np.ndarray, "n_rows n_experts"]
) -> Float64[np.ndarray, " n_rows"]:
    """ROUTE-2 of two shares, row by row."""
    middle = (p + q) / 2
    divergence = (rel_entr(p, middle) + rel_entr(q, middle)).sum(axis=-1) / (2 * np.log(2))
    return 1 - divergence


def lost(
    p: Float64[np.ndarray, "n_rows n_experts"], removed: Bool[np.ndarray, "n_rows n_experts"]
) -> Float64[np.ndarray, " n_rows"]:
    """ROUTE-3 of the dense model's shares."""
    return np.where(removed, p, 0.0).sum(axis=-1)
