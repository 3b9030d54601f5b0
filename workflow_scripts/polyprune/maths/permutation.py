"""Is calibrating in the language of evaluation better than in another? One exact test for a whole block of a table.

X_kj is the value of calibration k in column j, larger is better; column j is evaluated in language l_j. Z is X without
the means of its columns, or without those of its rows as well.

    PERM-1   T(π) = mean_j Z_π(l_j),j                  π relabels the K calibrations: the same for all columns
    PERM-2   p = #{π : T(π) ≥ T(identity)} / K!        exact; of N sampled ones p = (1 + #) / (1 + N)
                                                       (Good 2005; Phipson and Smyth 2010)

Without an effect of the language, rows could carry each other's labels. Columns keep together, so that however they
depend on one another, the test holds. Without means of rows a calibration that is good (or bad) everywhere is no
evidence either way: only what it does to its own language is.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import permutations

import numpy as np
from jaxtyping import Float64, Integer

EXACT_UP_TO = 7
"""Calibrations whose 5,040 relabellings are all looked at; of more, a sample is drawn."""
SAMPLED = 20000
ROUNDING = 1e-9


def centred(values: Float64[np.ndarray, "k columns"], rows_too: bool) -> Float64[np.ndarray, "k columns"]:
    """Z of PERM-1."""
    z = values - values.mean(axis=0)
    return z - z.mean(axis=1, keepdims=True) if rows_too else z


def target_advantage(values: Float64[np.ndarray, "k columns"], target: Sequence[int]) -> float:
    """Mean over columns of: the row of the column's language less the mean of the other rows."""
    z, k = centred(values, rows_too=False), len(values)
    return float(z[np.asarray(target), np.arange(len(target))].mean()) * k / (k - 1)


@lru_cache
def relabellings(k: int, seed: int) -> Integer[np.ndarray, "n k"]:
    """All permutations of k labels or, of many labels, a sample; the labels as they are come first."""
    if k <= EXACT_UP_TO:
        return np.array(list(permutations(range(k))))
    rng = np.random.default_rng(seed)
    return np.array([np.arange(k), *(rng.permutation(k) for _ in range(SAMPLED))])


def permutation_p(
    values: Float64[np.ndarray, "k columns"], target: Sequence[int], rows_too: bool = True, seed: int = 0
) -> float:
    """PERM-2; `target[j]` is the row of column j's language. `seed` draws the sample where K is too large for all.

    Raises:
        ValueError: fewer than two calibrations, no column, or a value that is not a number.
    """
    k = len(values)
    if k < 2 or not len(target) or not np.isfinite(values).all():
        raise ValueError(f"a block of {values.shape} cannot be relabelled: two rows or more, no value missing")
    z = centred(values, rows_too)
    of_language = np.zeros((k, k))
    for column, language in enumerate(target):
        of_language[:, language] += z[:, column] / len(target)
    labels = relabellings(k, seed)
    statistic = of_language[labels, np.arange(k)].sum(axis=1)
    return float((statistic >= statistic[0] - ROUNDING * max(1.0, float(np.abs(z).max()))).mean())
