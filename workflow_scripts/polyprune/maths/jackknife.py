"""Intervals for what is no mean over items: perplexity, SNR in decibels, pruning error.

θ is computed from sums over n sequences, θ_(i) from the sums without sequence i.

    JACK-1   p_i = n θ − (n − 1) θ_(i)                  pseudo-values (Tukey 1958; Efron and Tibshirani 1993, ch. 11)
    JACK-2   ln PPL = Σ_i nll_i / Σ_i tokens_i          a ratio of sums; a difference of it is a ratio of perplexities

The mean of pseudo-values is θ without its bias of order 1/n, their variance over n is θ's. So a column of them stands
where a column of questions does (INF-1 to INF-5): paired, grouped, with draws. Sequences without weight are all alike:
for a plain mean p_i is the value of item i itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float64

Sums = Mapping[str, np.ndarray]
"""By name, (n_sequences,) or (n_sequences, n_layers)."""


def pseudo_values(sums: Sums, statistic: Callable[[dict[str, np.ndarray]], np.ndarray]) -> Float64[np.ndarray, " n"]:
    """JACK-1. `statistic` takes totals with any leading axis, and gives one number for each place on it.

    Raises:
        ValueError: fewer than two sequences.
    """
    n = len(next(iter(sums.values())))
    if n < 2:
        raise ValueError(f"{n} sequence cannot be left out: nothing would remain")
    wide = {name: each.astype(np.float64) for name, each in sums.items()}
    totals = {name: each.sum(axis=0, keepdims=True) for name, each in wide.items()}
    whole = statistic(totals)
    without = statistic({name: totals[name] - each for name, each in wide.items()})
    return n * whole - (n - 1) * without


def log_perplexity(totals: Sums) -> np.ndarray:
    """JACK-2 from `nll` and `tokens`."""
    return totals["nll"] / totals["tokens"]
