"""Do languages that differ more in one respect differ more in another? A test of two matrices of distances.

A and B are symmetric matrices over the same K languages, with zeros on the diagonal.

    MANTEL-1   r(π) = corr over i < j of A_π(i)π(j) and B_ij         π relabels the languages of A
    MANTEL-2   p = #{π : r(π) ≥ r(identity)} / K!                    exact up to seven languages (Mantel 1967)
    MANTEL-3   r* = the smallest r(π) that no more than a share α of all relabellings reach; none where ties are so many
               that not even the largest is so rare

The pairs are not independent: seven languages make 21 pairs and are still seven. r* says what could have been seen at
all with these two matrices: a smaller r is no evidence of nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from polyprune.maths.permutation import ROUNDING, relabellings

Distances = Float64[np.ndarray, "k k"]


@dataclass(frozen=True)
class Mantel:
    """MANTEL-1 of the labels as they are, MANTEL-2, MANTEL-3."""

    r: float
    p: float
    detectable: float | None


def mantel(a: Distances, b: Distances, alpha: float = 0.05, seed: int = 0) -> Mantel | None:
    """None where one of the two has the same distance between all languages or one that is not finite, or there are
    fewer than three.

    `seed` draws the sample where there are too many relabellings to look at all.
    """
    k = len(a)
    above = np.triu_indices(k, 1)
    if k < 3 or not all(np.isfinite(each[above]).all() and np.ptp(each[above]) >= ROUNDING for each in (a, b)):
        return None
    labels = relabellings(k, seed)
    of_a = a[labels[:, above[0]], labels[:, above[1]]]
    of_a, of_b = of_a - a[above].mean(), b[above] - b[above].mean()
    r = of_a @ of_b / np.sqrt((of_a[0] ** 2).sum() * (of_b**2).sum())
    return Mantel(float(r[0]), float((r >= r[0] - ROUNDING).mean()), _detectable(r, alpha))


def _detectable(r: Float64[np.ndarray, " n"], alpha: float) -> float | None:
    """MANTEL-3."""
    levels = np.unique(np.round(r, 9))
    shares = (len(r) - np.searchsorted(np.sort(r), levels - ROUNDING)) / len(r)
    rare = levels[shares <= alpha]
    return float(rare[0]) if len(rare) else None
