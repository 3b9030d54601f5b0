"""In which language should one calibrate? A row a comparison; how sure each is, and what it would take to know more.

    model, method, scheme     string
    eval_language             string   a language (en-c, en-e of ARC); `all`: the test of a whole block
    metric                    string   a benchmark, perplexity, snr, pruning_error; `benchmarks`: mean over the columns
                                       of accuracies of a language (mkqa is another scale)
    score                     string   acc, f1, f1_ws: what is counted of a benchmark; null for others
    best                      string   the calibration with the best mean, whatever it is on
    not_worse                 list     calibrations that may be the best (INF-9), `best` among them
    calibrations              int32    of so many
    calibration               string   whose gain this is: the language itself and `best`, a row each
    is_target, is_best        bool
    reference                 string   english, mix (of most languages, equal shares), others (mean of the
                                       other single languages)
    against                   string   the reference's calibration; null for others
    gain, low, high           double   by how much it is better, with its 95 % interval: points of a percentage, dB of
                                       snr, per cent by which perplexity and pruning error are lower
    unit                      string   points, dB, %
    p, p_holm                 double   two-sided; p_holm over all calibrations against this reference here (INF-8)
    hypotheses                int32    of these there are
    verdict                   string   better, worse: p_holm < .05; equal: p_equivalent < .05; open
    p_equivalent, margin      double   INF-7: p of the gain being at least the margin either way
    items, groups, draws      int32    questions or sequences, groups of them, draws of calibration text
    one_draw                  bool     other draws than these are not covered
    detectable                double   gain that would be seen in 4 of 5 studies like this (POW-1)
    items_needed, draws_needed   int32   to see a gain as large as the margin, the other as it is; null: no number
                                       is enough by itself

For `all`, gain is the target's over the mean of the other languages, mean over the columns of languages that are
calibrated in; p is exact (PERM-2, rows and columns centred), and there is no interval: translations of one question are
not independent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pandas as pd

from polyprune.grammar.calibrations import is_single_language
from polyprune.maths.draws import UNKNOWN, draws_of, pooled_draws
from polyprune.maths.inference import Difference, against, contrast, holm, may_be_best, means_of, pooled
from polyprune.maths.permutation import permutation_p, target_advantage
from polyprune.maths.power import detectable, draws_needed, items_needed
from polyprune.report.measured import ACCURACY, SHARES, Block, Column, Key, common_draws, means_matrix
from polyprune.report.names import is_mix, language_of
from polyprune.report.printed import targets

ALL, POOLED, OTHERS = "all", "benchmarks", "others"
ALPHA = 0.05
TESTABLE = 4
"""Calibrations of a block of which its test can say p < .05: of K it is 1/K! at least."""
Weights = Mapping[str, float]
_ALWAYS = ("model", "method", "scheme", "eval_language", "metric", "score", "calibration", "is_target", "reference",
           "gain", "unit", "p", "verdict", "items", "draws")  # fmt: skip
"""Columns of tests of whole blocks and of single columns alike; those of a table without rows."""


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


class Comparison:
    """Columns of one kind that are compared together: one, or a language's benchmarks as their mean."""

    def __init__(self, columns: list[Column]) -> None:
        self.columns = columns
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

    def not_worse(self) -> list[str]:
        """INF-9."""
        best = self.best
        p = {name: self.difference({best: 1.0, name: -1.0}).p_larger() for name in self.means if name != best}
        return sorted([best, *may_be_best(p, ALPHA)])

    def draws_behind(self, weights: Weights) -> int:
        return min(self.columns[0].values[name].shape[1] for name in weights)


def best_calibrations(measured: Mapping[Block, Mapping[Key, Column]]) -> pd.DataFrame:
    """All rows of all blocks; columns with fewer than two calibrations, or groups of items, have none."""
    rows = []
    for block, columns in measured.items():
        about = dict(zip(("model", "method", "scheme"), block, strict=True))
        for language, metric, comparison in comparisons(columns):
            rows += [about | row for row in compare(language, metric, comparison)]
        rows += [about | row for row in whole_block(columns)]
    found = pd.DataFrame(rows) if rows else pd.DataFrame(columns=list(_ALWAYS))
    whole = ("calibrations", "hypotheses", "items", "groups", "draws", "items_needed", "draws_needed")
    return found.astype({name: "Int32" for name in whole if name in found})


def comparisons(columns: Mapping[Key, Column]) -> Iterator[tuple[str, str, Comparison]]:
    """Language, metric and what is compared: each column, and a language's benchmarks together.

    Together are accuracies, of the calibrations and draws that all of a language's benchmarks have.
    """
    together: dict[str, list[Column]] = {}
    for (metric, language), column in columns.items():
        if len(column.values) < 2 or column.n_groups < 2:
            continue
        yield language, metric, Comparison([column])
        if column.kind == ACCURACY:
            together.setdefault(language_of(language), []).append(column)
    for language, several in together.items():
        draws = common_draws(several)
        if len(several) > 1 and len(draws) > 1:
            yield language, POOLED, Comparison([column.only(draws) for column in several])


def references(comparison: Comparison) -> dict[str, str | None]:
    """Reference and its calibration, of those that are there."""
    names = list(comparison.means)
    mixes = sorted((name for name in names if is_mix(name)), key=lambda name: (-name.count("-"), name))
    found: dict[str, str | None] = {"english": "en"} if "en" in names else {}
    found |= {"mix": mixes[0]} if mixes else {}
    return found | {OTHERS: None}


def compare(language: str, metric: str, comparison: Comparison) -> Iterator[dict[str, Any]]:
    """The rows of one comparison: what is best, and gains of the language itself and of the best."""
    singles = [name for name in comparison.means if is_single_language(name)]
    target, best = language_of(language), comparison.best
    about = {"eval_language": language, "metric": metric, "best": best, "not_worse": comparison.not_worse()}
    kind = comparison.columns[0].kind
    about |= {"calibrations": len(comparison.means), "score": kind if kind in SHARES else None}
    for reference, name in references(comparison).items():
        weights = {
            own: against(own, singles) if name is None else {own: 1.0, name: -1.0}
            for own in comparison.means
            if own != name and (name or len({own, *singles}) > 1)
        }
        found = {own: comparison.difference(each) for own, each in weights.items()}
        adjusted, hypotheses = _adjusted(weights, found)
        for own in dict.fromkeys((target, best)):
            if own in found:
                yield about | {
                    "calibration": own,
                    "is_target": own == target,
                    "is_best": own == best,
                    "reference": reference,
                    "against": name,
                    "hypotheses": hypotheses,
                    "p_holm": adjusted[own],
                    **_facts(comparison, weights[own], found[own], adjusted[own]),
                }


def _adjusted(weights: Mapping[str, Weights], found: Mapping[str, Difference]) -> tuple[dict[str, float], int]:
    """INF-8 by calibration, and of how many: of two languages each against the other is one hypothesis, not two."""
    apart: dict[frozenset[frozenset[tuple[str, float]]], list[str]] = {}
    for own, each in weights.items():
        ways = frozenset(frozenset((name, sign * weight) for name, weight in each.items()) for sign in (1, -1))
        apart.setdefault(ways, []).append(own)
    adjusted = holm([found[names[0]].p_zero() for names in apart.values()])
    return {name: p for names, p in zip(apart.values(), adjusted, strict=True) for name in names}, len(apart)


def _facts(comparison: Comparison, weights: Weights, found: Difference, p_holm: float) -> dict[str, Any]:
    unit, draws = comparison.unit, comparison.draws_behind(weights)
    low, high = found.interval()
    p_equivalent = found.p_equivalent(unit.margin)
    known = comparison.together.df > 0
    decided = ("better" if found.value > 0 else "worse") if p_holm < ALPHA else None
    spread = found.of_items, found.of_draws
    return {
        "gain": unit.shown(found.value),
        "low": unit.shown(low),
        "high": unit.shown(high),
        "unit": unit.name,
        "p": found.p_zero(),
        "verdict": decided or ("equal" if p_equivalent < ALPHA else "open"),
        "p_equivalent": p_equivalent,
        "margin": unit.shown(unit.margin),
        "items": comparison.items,
        "groups": found.n_groups,
        "draws": draws,
        "one_draw": not known,
        "detectable": unit.shown(detectable(*spread)),
        "items_needed": items_needed(comparison.items, *spread, unit.margin),
        "draws_needed": draws_needed(draws, *spread, unit.margin) if known else None,
    }


def whole_block(columns: Mapping[Key, Column]) -> Iterator[dict[str, Any]]:
    """PERM-2 over the columns of a metric, and of all benchmarks, whose language all of them have a calibration in."""
    of_metric: dict[str, dict[Key, Column]] = {}
    for key, column in columns.items():
        of_metric.setdefault(key[0], {})[key] = column
        if column.kind == ACCURACY:
            of_metric.setdefault(POOLED, {})[key] = column
    for metric, every in of_metric.items():
        kind = next(iter(every.values())).kind
        names = sorted(set.intersection(*(set(filter(is_single_language, column.values)) for column in every.values())))
        several = {key: column for key, column in every.items() if language_of(key[1]) in names}
        if len({language_of(language) for _, language in several}) < 2:
            continue
        matrix = means_matrix(several, names)
        own = targets(matrix)
        draws = min(column.values[name].shape[1] for column in several.values() for name in names)
        p, gain = permutation_p(matrix.to_numpy(), own), target_advantage(matrix.to_numpy(), own)
        yield {
            "eval_language": ALL,
            "metric": metric,
            "score": kind if kind in SHARES else None,
            "calibrations": len(names),
            "calibration": None,
            "is_target": True,
            "reference": OTHERS,
            "gain": UNITS[kind].shown(gain),
            "unit": UNITS[kind].name,
            "p": p,
            "verdict": "better" if p < ALPHA else "open",
            "items": sum(len(column.groups) for column in several.values()),
            "draws": draws,
        }
