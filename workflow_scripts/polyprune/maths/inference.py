"""Whether calibrations differ: paired differences over the same questions or sequences, and what they are sure of.

y_cis is the value of item i (a question, a sequence) in the cell of calibration c drawn with seed s. A contrast gives
every calibration a weight w_c: 1 and −1 for two of them, 1 and −1/(K − 1) for one against the mean of the others. Items
come in G groups g (the questions on one passage); an item of its own is a group of its own. n items, S_c draws.

    INF-1   d = mean_i d_i,  d_i = Σ_c w_c mean_s y_cis                            the difference
    INF-2   V = G/(G−1) Σ_g (Σ_{i∈g} (d_i − d))² / n²                              by other questions; cluster-robust
                                                                                   (Liang and Zeger 1986)
    INF-4   var(d) = V + k σ²,  k = Σ_c w_c² h_c / S_c                             both: items and draws are crossed
    INF-5   ν = var(d)² / (V²/(G−1) + k²B²/ν_B + k²E²/(ν_B (G−1)))                 Satterthwaite (1946)
            d ± t_ν √var(d)
    INF-6   of values in [0, 1] the limits of SHARE-3 at quantile t_ν in the place of d ± t_ν √var, with σ_c²/S_c in the
            variance of a share; p is the level at which a limit meets the hypothesis, V follows from how far limits of
            95 % are
    INF-7   |d| < margin:  p = max(P(T_ν > (d + margin)/√var), P(T_ν < (d − margin)/√var))      two one-sided tests
                                                                                   (Schuirmann 1987)
    INF-8   p of m hypotheses together, step-down: p_(j) max over i ≤ j of (m − i + 1) p_(i)    Holm (1979)
    INF-9   all m comparisons of K calibrations, K(K − 1)/2 pairs and each one against the mean of the others, hold
            together with chance 1 − α: t_ν at α/f, and f p. f = 2a for a that are asked beforehand, 2(m − a) for the
            others; m where a = 0 or a = m, so that Σ 1/f = 1. c may be the best if true values of which all is so
            that is shown can have it above all others                             Dunn (1961)
    INF-10  of J columns of other items: d = mean_j d_j,  V = Σ_j V_j / J²,  B, E of means of cells over columns, √h_c
            the mean of theirs: a draw is the same in all, and what it does to all does not average out; distances of
            SHARE-3 add up as V do, in squares, and t_ν² k σ² to them

σ², B, E, h_c and ν_B are those of INF-3 (`maths/draws.py`). V holds what questions and draws share, E is taken out of
B so that it counts once: with equal groups INF-4 is the sum of the three mean squares of the crossed two-way layout.
Where each calibration has one draw σ² is unknown, var(d) is V, and d is about these draws alone. Without INF-6 values
at the floor (nothing answered in 60 questions) would have an interval of no width, and with few right answers t
intervals of skewed values cover too rarely: 83 to 93 % at one per cent right of 60 questions. `docs/methods.md` says
how often intervals cover the truth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float64
from scipy import special

from polyprune.maths.draws import Draws, Groups, Values, spread_over, sums
from polyprune.maths.share_limits import Shares, correlations, effective_questions

FARTHEST = 15.0
"""Quantile up to which limits are looked for; p is said to be no smaller than that gives."""


@dataclass(frozen=True)
class Difference:
    """A contrast: `value` as seen (INF-1), and what intervals and tests are taken from."""

    value: float
    of_items: float
    """V: variance by the choice of items."""
    of_draws: float
    """k σ²; 0 where draws are unknown."""
    df: float
    n_groups: int
    shares: tuple[Shares, ...] = ()
    """INF-6, of each column; empty where values are not bounded."""
    draws_apart: float = 0.0
    """What of k σ² is not in `shares`."""

    @property
    def variance(self) -> float:
        return self.of_items + self.of_draws

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """INF-5, INF-6: it covers the true difference with this chance."""
        q = float(special.stdtrit(self.df, (1 + level) / 2))
        return self.value - self._reach(q, below=True), self.value + self._reach(q, below=False)

    def p_zero(self) -> float:
        """Two-sided p of no difference; 1 where all items are equal."""
        return min(1.0, 2 * (self.p_larger() if self.value > 0 else self._p_smaller(0.0)))

    def p_larger(self) -> float:
        """One-sided p against: the difference is not above zero."""
        return self._p_larger(0.0)

    def p_equivalent(self, margin: float) -> float:
        """INF-7: small where the difference is shown to be less than the margin either way."""
        return max(self._p_larger(-margin), self._p_smaller(margin))

    def _p_larger(self, bound: float) -> float:
        """Of the difference being at most `bound`."""
        return self._tail(self.value - bound, below=True)

    def _p_smaller(self, bound: float) -> float:
        return self._tail(bound - self.value, below=False)

    def _tail(self, distance: float, below: bool) -> float:
        """Chance of a value as far on the right side of a bound that is `below` (or above) it, were the bound true."""
        if distance < 0:
            return 1 - self._tail(-distance, not below)
        if distance <= self._reach(0.0, below):
            return 0.5  # medians of SHARE-1 are not the shares themselves
        if not self.shares:
            return float(special.stdtr(self.df, -distance / self.variance**0.5)) if self.variance > 0 else 0.0
        if self._reach(FARTHEST, below) <= distance:
            return float(special.stdtr(self.df, -FARTHEST))
        from scipy.optimize import brentq  # 0.2 s, for shares alone

        q: Any = brentq(lambda q: self._reach(q, below) - distance, 0.0, FARTHEST)
        return float(special.stdtr(self.df, -q))

    def _reach(self, q: float, below: bool) -> float:
        """How far the limit at quantile q is from the value."""
        if not self.shares:
            return q * self.variance**0.5
        squares = sum(each.distance(q, below) ** 2 for each in self.shares) / len(self.shares) ** 2
        return (squares + q**2 * self.draws_apart) ** 0.5


@dataclass(frozen=True)
class Means:
    """What contrasts of a column need: INF-1 and INF-2 of all of its calibrations at once."""

    names: tuple[str, ...]
    value: Float64[np.ndarray, " k"]
    covariance: Float64[np.ndarray, "k k"]
    """By other questions."""
    n_groups: int
    draws: Draws
    effective: float | None
    """SHARE-2 where values are bounded by 0 and 1."""
    answers: int = 0
    """nS of SHARE-4."""

    def with_draws(self) -> Float64[np.ndarray, "k k"]:
        """Covariance by other questions and draws."""
        if not self.draws.df:
            return self.covariance
        return self.covariance + self.draws.variance * np.diag([self.draws.shares[name] for name in self.names])


def means_of(values: Mapping[str, Values], groups: Groups, draws: Draws, bounded: bool = False) -> Means:
    """`groups` numbers the groups from 0 without gaps; with INF-6 if values are `bounded` by 0 and 1.

    Raises:
        ValueError: fewer than two groups, which say nothing of others.
    """
    n_groups = int(groups.max()) + 1
    if n_groups < 2:
        raise ValueError(f"{len(groups)} items in {n_groups} group: nothing can be said of other items")
    items = np.stack([value.mean(axis=1) for value in values.values()], axis=1)
    value = items.mean(axis=0)
    of_groups = sums(items - value, groups)
    covariance = spread_over(n_groups) * of_groups.T @ of_groups / len(groups) ** 2
    found = Means(tuple(values), value, covariance, n_groups, draws, None)
    if not bounded:
        return found
    p, variance = np.clip(value, 0.0, 1.0), np.diag(found.with_draws())
    answers = max(each.size for each in values.values())
    effective = effective_questions(p, variance, len(groups), answers)
    return replace(found, value=p, effective=effective, answers=answers)


def contrast(means: Means, weights: Mapping[str, float]) -> Difference:
    """INF-1 to INF-6 of the calibrations named in `weights`."""
    chosen = [means.names.index(name) for name in weights]
    w, value, covariance = (
        np.array(list(weights.values())),
        means.value[chosen],
        means.covariance[np.ix_(chosen, chosen)],
    )
    alone = Difference(
        value=float(w @ value),
        of_items=max(0.0, float(w @ covariance @ w)),
        of_draws=0.0,
        df=float(means.n_groups - 1),
        n_groups=means.n_groups,
    )
    found = _with_draws(alone, weights, means.draws)
    if means.effective is None:
        return found
    correlation = correlations(means.with_draws()[np.ix_(chosen, chosen)], means.effective, means.answers)
    return _bounded(found, Shares(value, w, correlation, means.effective))


def _bounded(difference: Difference, shares: Shares) -> Difference:
    """INF-6."""
    q = float(special.stdtrit(difference.df, 0.975))
    squares = [shares.distance(q, below) ** 2 for below in (True, False)]
    of_items = max(difference.of_items, sum(squares) / (2 * q**2) - difference.of_draws)
    return replace(difference, of_items=of_items, shares=(shares,))


def _with_draws(difference: Difference, weights: Mapping[str, float], draws: Draws) -> Difference:
    """INF-4 and INF-5: a difference that knows its items only, and the draws."""
    sigma = draws.variance if draws.df else 0.0
    if sigma == 0:
        return difference
    of_items, df, k = difference.of_items, difference.df, draws.spread(weights)
    total = of_items + k * sigma
    parts = of_items**2 / df + (k * draws.between) ** 2 / draws.df + (k * draws.residual) ** 2 / (draws.df * df)
    return replace(difference, of_draws=k * sigma, df=max(total**2 / parts, float(min(df, draws.df))))


def pooled(differences: Sequence[Difference], weights: Mapping[str, float], draws: Draws) -> Difference:
    """INF-10 of one contrast in several columns; `draws` are theirs together."""
    n = len(differences)
    of_items = sum(each.of_items for each in differences) / n**2
    parts = sum((each.of_items / n**2) ** 2 / (each.n_groups - 1) for each in differences)
    alone = Difference(
        value=sum(each.value for each in differences) / n,
        of_items=of_items,
        of_draws=0.0,
        df=of_items**2 / parts if parts else float(min(each.n_groups - 1 for each in differences)),
        n_groups=sum(each.n_groups for each in differences),
        shares=tuple(shares for each in differences for shares in each.shares),
    )
    found = _with_draws(alone, weights, draws)
    return replace(found, draws_apart=found.of_draws)


def against(first: str, others: Sequence[str]) -> dict[str, float]:
    """Weights of one calibration against the mean of others; the mean leaves the calibration itself out."""
    rest = [name for name in others if name != first]
    return {first: 1.0} | {name: -1 / len(rest) for name in rest}


def possible(statements: Sequence[Mapping[str, float]], names: Sequence[str]) -> bool:
    """Whether values can be such that each weighted sum of them is above nought, and then as far above it as wanted."""
    from scipy.optimize import linprog  # 0.2 s

    rows = [[-weights.get(name, 0.0) for name in names] for weights in statements]
    return linprog(np.zeros(len(names)), rows, -np.ones(len(rows)), bounds=(None, None)).status == 0


def holm(p: Sequence[float]) -> list[float]:
    """INF-8, in the order given. (statsmodels' collects garbage at every call: a quarter of a second.)"""
    order = np.argsort(p)
    steps = np.minimum(1.0, np.maximum.accumulate(np.asarray(p, dtype=np.float64)[order] * np.arange(len(p), 0, -1)))
    return steps[np.argsort(order)].tolist()
