"""How much calibration text matters: variance between draws of it, from cells that differ in their seed alone.

y_cis is the value of item i (a question, a sequence) in the cell of calibration c drawn with seed s; items come in G
groups g, n items, S_c draws. ȳ_cs is a cell's mean, r what neither item nor draw explains: r_cis = y_cis − ȳ_ci − ȳ_cs
+ ȳ_c.

    INF-3   B = Σ_cs (ȳ_cs − ȳ_c)² / H,  H = Σ_c h_c (S_c − 1)
            E = G/(G−1) Σ_csg (Σ_{i∈g} r_cis)² / n² / H           its share in B      (Searle, Casella, McCulloch 1992)
            σ² = max(0, B − E),  σ_c² = h_c σ²                    variance of a draw of calibration c
            ν_B = H² / Σ_c h_c² (S_c − 1)                         degrees of freedom of B        Satterthwaite (1946)
            h_c = 1;  of values in [0, 1] (p(1−p))² at p = (n ȳ_c + ½)/(n + 1)        alike in log odds (delta method)

σ² is taken over all calibrations of a column, whose draws are assumed to scatter alike: of shares of right answers
alike in log odds, for near 0 and 1 they scatter less. In the paper's table 7 the standard deviation over seeds grows
from .46 points where 26 % are right on ARC to .71 where 61 % are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64, Integer

Values = Float64[np.ndarray, "n_items n_draws"]
"""Of one calibration; all calibrations of a column have the same items in the same order."""
Groups = Integer[np.ndarray, " n_items"]


@dataclass(frozen=True)
class Draws:
    """INF-3 of a column: variance between draws and what it is made of; NaN and no degree of freedom if unknown."""

    between: float
    """B of INF-3."""
    residual: float
    """E of INF-3."""
    df: float
    """ν_B of INF-3."""
    shares: Mapping[str, float] = field(default_factory=dict)
    """h_c / S_c of INF-4, by calibration."""
    squares: float = 0.0
    """E H of INF-3."""

    @property
    def variance(self) -> float:
        """σ² of one draw."""
        return max(0.0, self.between - self.residual) if self.df else float("nan")

    def spread(self, weights: Mapping[str, float]) -> float:
        """k of INF-4."""
        return sum(weight**2 * self.shares[name] for name, weight in weights.items())


UNKNOWN = Draws(float("nan"), float("nan"), 0.0)
"""Where each calibration has one draw."""


def draws_of(values: Mapping[str, Values], groups: Groups, bounded: bool = False) -> Draws:
    """INF-3 over all calibrations of a column; `bounded` by 0 and 1 they scatter alike in log odds."""
    if all(value.shape[1] == 1 for value in values.values()):
        return UNKNOWN
    n_groups = int(groups.max()) + 1
    rests = [value - value.mean(axis=1, keepdims=True) - value.mean(axis=0) + value.mean() for value in values.values()]
    residual = spread_over(n_groups) * float((sums(np.concatenate(rests, axis=1), groups) ** 2).sum())
    return _draws({name: value.mean(axis=0) for name, value in values.items()}, residual / len(groups) ** 2,
                  {name: _slope(value) if bounded else 1.0 for name, value in values.items()})  # fmt: skip


def _slope(value: Values) -> float:
    """√h_c of INF-3: of a share by its log odds, as if half an answer more were right and half an answer wrong."""
    n = len(value)
    p = (n * float(np.clip(value.mean(), 0.0, 1.0)) + 0.5) / (n + 1)
    return p * (1 - p)


def _draws(cells: Mapping[str, Float64[np.ndarray, " n_draws"]], squares: float, slopes: Mapping[str, float]) -> Draws:
    """INF-3 and ν_B from the means of cells, the sum of squares that E is taken from, and √h_c."""
    more = {name: len(of_draw) - 1 for name, of_draw in cells.items()}
    weight = sum(slopes[name] ** 2 * count for name, count in more.items())
    between = sum(float(((of_draw - of_draw.mean()) ** 2).sum()) for of_draw in cells.values())
    return Draws(
        between / weight,
        squares / weight,
        weight**2 / sum(slopes[name] ** 4 * count for name, count in more.items()),
        {name: slopes[name] ** 2 / len(of_draw) for name, of_draw in cells.items()},
        squares,
    )


def pooled_draws(columns: Sequence[Mapping[str, Values]], of_columns: Sequence[Draws], bounded: bool = False) -> Draws:
    """INF-10: B and E of the mean of columns, in which the same cells have values."""
    n, names = len(columns), list(columns[0])
    if not of_columns[0].df:
        return UNKNOWN
    cells = {name: np.mean([column[name].mean(axis=0) for column in columns], axis=0) for name in names}
    slopes = {name: float(np.mean([_slope(column[name]) for column in columns])) if bounded else 1.0 for name in names}
    return _draws(cells, sum(each.squares for each in of_columns) / n**2, slopes)


def sums(items: Float64[np.ndarray, "n_items k"], groups: Groups) -> Float64[np.ndarray, "n_groups k"]:
    """Σ over the items of each group."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    return np.add.reduceat(items[order], starts, axis=0)


def spread_over(n_groups: int) -> float:
    """Of a variance that is estimated from so many groups."""
    return n_groups / (n_groups - 1)
