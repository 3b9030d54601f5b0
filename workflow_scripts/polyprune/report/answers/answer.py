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
    behind                    list     what is shown to be better than it (INF-9): calibrations, `others`
    gain, low, high           double   by how much it is better, with its interval: points of a percentage, dB of snr,
                                       per cent by which perplexity and pruning error are lower
    unit                      string   points, dB, %
    hypotheses                int32    f of INF-9: the interval is of 1 − .05/f, and those of all comparisons of these
                                       calibrations here hold together with 95 %. Twice the number of gains of the
                                       language itself, which are asked beforehand, or of all other comparisons
    p, p_corrected            double   two-sided, of this comparison alone; times hypotheses, 1 at most
    verdict                   string   better, worse: the interval lies above, below 0; equal: within the margin; open
    p_equivalent, margin      double   INF-7: p of the gain being at least the margin either way, of it alone
    items, groups, draws      int32    questions or sequences, groups of them, draws of calibration text
    one_draw                  bool     other draws than these are not covered
    detectable                double   gain whose verdict would be better in 4 of 5 studies like this (POW-1)
    items_needed, draws_needed   int32   to see a gain as large as the margin, the other as it is; null: no number
                                       is enough by itself

For `all`, gain is the target's over the mean of the other languages, mean over the columns of languages that are
calibrated in; p is exact (PERM-2, rows and columns centred), and there is no interval: translations of one question are
not independent.

What alone may be best is better than each other one, and than their mean, whether or not the comparison shows it by
itself: that follows from those that do, and the interval ends at 0 then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from polyprune.grammar.calibrations import is_single_language
from polyprune.maths.permutation import permutation_p, target_advantage
from polyprune.maths.power import detectable, draws_needed, items_needed
from polyprune.report.answers.comparison import ALPHA, OTHERS, UNITS, Comparison, Weights
from polyprune.report.measured import ACCURACY, SHARES, Block, Column, Key, common_draws, means_matrix
from polyprune.report.names import language_of
from polyprune.report.printed import targets

ALL, POOLED = "all", "benchmarks"
TESTABLE = 4
"""Calibrations of a block of which its test can say p < .05: of K it is 1/K! at least."""
_ALWAYS = ("model", "method", "scheme", "eval_language", "metric", "score", "calibration", "is_target", "reference",
           "gain", "unit", "p", "verdict", "items", "draws")  # fmt: skip
"""Columns of tests of whole blocks and of single columns alike; those of a table without rows."""


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
        yield language, metric, Comparison([column], language_of(language))
        if column.kind == ACCURACY:
            together.setdefault(language_of(language), []).append(column)
    for language, several in together.items():
        draws = common_draws(several)
        if len(several) > 1 and len(draws) > 1:
            yield language, POOLED, Comparison([column.only(draws) for column in several], language)


def compare(language: str, metric: str, comparison: Comparison) -> Iterator[dict[str, Any]]:
    """The rows of one comparison: what is best, and gains of the language itself and of the best."""
    best, able = comparison.best, comparison.not_worse()
    kind = comparison.columns[0].kind
    about = {"eval_language": language, "metric": metric, "best": best, "not_worse": able}
    about |= {"calibrations": len(comparison.means), "score": kind if kind in SHARES else None}
    gains = {own: comparison.gains(own) for own in (comparison.target, best) if own in comparison.means}
    behind = {own: comparison.ahead_of(own) for own in gains}
    for reference in (*comparison.references, OTHERS):
        for own in gains:
            if reference in gains[own]:
                yield about | {
                    "calibration": own,
                    "is_target": own == comparison.target,
                    "is_best": own == best,
                    "behind": behind[own],
                    "reference": reference,
                    "against": comparison.references.get(reference),
                    **_facts(comparison, gains[own][reference], able),
                }


def _facts(comparison: Comparison, weights: Weights, able: Sequence[str]) -> dict[str, Any]:
    """Of one contrast, whose first calibration is the one with a weight of 1; `able` may be the best."""
    unit, draws, f = comparison.unit, comparison.draws_behind(weights), comparison.hypotheses(weights)
    found = comparison.difference(weights)
    low, high = comparison.interval(weights)
    first, *others = weights
    better, worse = low > 0 or able == [first], high < 0 or (able == others and len(able) == 1)
    low, high = max(low, 0.0) if better else low, min(high, 0.0) if worse else high
    equal = -unit.margin < low and high < unit.margin
    known = comparison.together.df > 0
    spread = found.of_items, found.of_draws
    return {
        "gain": unit.shown(found.value),
        "low": unit.shown(low),
        "high": unit.shown(high),
        "unit": unit.name,
        "hypotheses": f,
        "p": found.p_zero(),
        "p_corrected": min(1.0, f * found.p_zero()),
        "verdict": "better" if better else "worse" if worse else "equal" if equal else "open",
        "p_equivalent": found.p_equivalent(unit.margin),
        "margin": unit.shown(unit.margin),
        "items": comparison.items,
        "groups": found.n_groups,
        "draws": draws,
        "one_draw": not known,
        "detectable": unit.shown(detectable(*spread, f)),
        "items_needed": items_needed(comparison.items, *spread, unit.margin, f),
        "draws_needed": draws_needed(draws, *spread, unit.margin, f) if known else None,
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
