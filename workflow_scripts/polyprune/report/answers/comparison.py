"""Calibrations of a column compared with each other: all that is said of it is read from intervals that hold together.

INF-9 of `maths/inference.py`; `answer.py` makes rows of it, tables their frames.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import combinations

from polyprune.grammar.calibrations import is_single_language
from polyprune.maths.draws import UNKNOWN, draws_of, pooled_draws
from polyprune.maths.inference import Difference, against, contrast, means_of, pooled, possible
from polyprune.report.measured import SHARES, Column
from polyprune.report.names import is_mix

OTHERS = "others"
"""The mean of the other single languages, as a reference."""
ALPHA = 0.05
Weights = Mapping[str, float]
"""Of calibrations: 1 and −1, or 1 and −1 shared among the others."""


@dataclass(frozen=True)
class Unit:
    """How a difference of values is printed, and the margin below which it does not matter, as such a difference."""

    name: str
    margin: float
    shown: Callable[[float], float]


def _per_cent_lower(difference: float) -> float:
    """100 (1 − b/a) of a difference ln a − ln b."""
    return -100 * math.expm1(-difference)


POINTS = Unit("points", 0.01, lambda difference: 100 * difference)
DECIBELS = Unit("dB", 0.1, lambda difference: difference)
LOWER = Unit("%", -math.log(0.99), _per_cent_lower)
UNITS = dict.fromkeys(SHARES, POINTS) | {"snr": DECIBELS, "perplexity": LOWER, "pruning_error": LOWER}
"""Margins: one point, a tenth of a decibel, one per cent."""


def turned(weights: Weights) -> Weights:
    """The same comparison from its other side."""
    return {name: -weight for name, weight in weights.items()}


class Comparison:
    """Columns of one kind that are compared together: one, or a language's benchmarks as their mean.

    `target` is the calibration in their language, there or not.
    """

    def __init__(self, columns: list[Column], target: str) -> None:
        self.columns = columns
        self.target = target
        self.unit = UNITS[columns[0].kind]
        self.bounded = columns[0].kind in SHARES
        alone = len(columns) == 1
        draws = [draws_of(column.values, column.groups, self.bounded) for column in columns]
        values = [column.values for column in columns]
        self.together = draws[0] if alone else pooled_draws(values, draws, self.bounded)
        self.each = [
            means_of(column.values, column.groups, of_column if alone else UNKNOWN, self.bounded)
            for column, of_column in zip(columns, draws, strict=True)
        ]
        self.means = {name: self._mean(name) for name in columns[0].values}

    def _mean(self, name: str) -> float:
        """Rounded once, so that calibrations with the same number of right answers are equal."""
        values = [column.values[name] for column in self.columns]
        return float(sum((Fraction(float(each.sum())) / each.size for each in values), Fraction()) / len(values))

    def difference(self, weights: Weights) -> Difference:
        each = [contrast(means, weights) for means in self.each]
        return each[0] if len(each) == 1 else pooled(each, weights, self.together)

    @property
    def items(self) -> int:
        return sum(len(column.groups) for column in self.columns)

    @property
    def best(self) -> str:
        return max(self.means, key=lambda name: self.means[name])

    @cached_property
    def singles(self) -> list[str]:
        return [name for name in self.means if is_single_language(name)]

    @cached_property
    def averages(self) -> dict[str, Weights]:
        """Each calibration against the mean of the other single languages, where those are two or more."""
        return {name: against(name, self.singles) for name in self.means if len({*self.singles} - {name}) > 1}

    @cached_property
    def references(self) -> dict[str, str]:
        """English, and the mix of most languages; of those that are there."""
        mixes = sorted((name for name in self.means if is_mix(name)), key=lambda name: (-name.count("-"), name))
        return ({"english": "en"} if "en" in self.means else {}) | ({"mix": mixes[0]} if mixes else {})

    def gains(self, own: str) -> dict[str, Weights]:
        """Of a calibration over each reference that is there; one other language is the average of it alone."""
        others: dict[str, Weights] = {OTHERS: against(own, self.singles)} if {*self.singles} - {own} else {}
        return {over: {own: 1.0, name: -1.0} for over, name in self.references.items() if name != own} | others

    @cached_property
    def beforehand(self) -> set[frozenset[tuple[str, float]]]:
        """Comparisons that are asked before any result is seen (INF-9): the target's gains."""
        gains = self.gains(self.target).values() if self.target in self.means else ()
        return {frozenset(weights.items()) for weights in gains}

    def hypotheses(self, weights: Weights) -> int:
        """f of INF-9, for all m comparisons."""
        m, asked = math.comb(len(self.means), 2) + len(self.averages), len(self.beforehand)
        if asked in (0, m):
            return m
        either = {frozenset(each.items()) for each in (weights, turned(weights))}
        return 2 * (asked if either & self.beforehand else m - asked)

    def interval(self, weights: Weights) -> tuple[float, float]:
        """INF-9: it holds together with those of all pairs and averages."""
        return self.difference(weights).interval(1 - ALPHA / self.hypotheses(weights))

    @cached_property
    def shown(self) -> list[Weights]:
        """Comparisons whose interval is above nought; turned, where it is below."""
        pairs = [{one: 1.0, other: -1.0} for one, other in combinations(self.means, 2)]
        intervals = [(weights, *self.interval(weights)) for weights in (*pairs, *self.averages.values())]
        return [weights if low > 0 else turned(weights) for weights, low, high in intervals if low > 0 or high < 0]

    def ahead_of(self, name: str) -> list[str]:
        """What INF-9 shows to be better: calibrations, the best seen first, and the average other language."""
        ahead = [other for other in self.means if {other: 1.0, name: -1.0} in self.shown]
        average = name in self.averages and turned(self.averages[name]) in self.shown
        return sorted(ahead, key=lambda other: -self.means[other]) + [OTHERS] * average

    def not_worse(self) -> list[str]:
        """What may be the best (INF-9).

        Only where something is above an average can all that is shown rule out what no comparison by itself does.
        """
        able = sorted(name for name in self.means if not self.ahead_of(name))
        if len(able) == 1 or not any(weights in self.shown for weights in self.averages.values()):
            return able
        best = {name: [{name: 1.0, other: -1.0} for other in self.means if other != name] for name in able}
        return [name for name in able if possible([*self.shown, *best[name]], list(self.means))]

    def draws_behind(self, weights: Weights) -> int:
        return min(self.columns[0].values[name].shape[1] for name in weights)
