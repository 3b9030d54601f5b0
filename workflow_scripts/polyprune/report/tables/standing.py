"""What is known of a column of a table beside its numbers: which rows can be told from the best, and how finely."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from polyprune.grammar.calibrations import is_single_language
from polyprune.report.answers.comparison import Comparison
from polyprune.report.measured import SHARES, Block, Column, Key
from polyprune.report.names import TARGET, is_other, language_of


@dataclass(frozen=True)
class Standing:
    """Of one column of a block, from its questions or sequences."""

    may_be_best: frozenset[str]
    """Candidates that cannot be told from the best of them (INF-9)."""
    told: frozenset[str]
    """Rows, mixes too, that can be told from the best of all rows."""
    resolution: float
    """How far a row (the median one) had to be from the best to be told from it among so many (INF-9), in the table's
    unit, before a metric is scaled."""
    items: int
    kind: str
    chance: float | None
    """Per cent that guessing gives; None where there is nothing to guess."""
    behind: Mapping[str, tuple[float, float]]
    """Of all rows but the best, the interval by which each is worse than the best (INF-9), in the unit of `resolution`.
    """


Standings = Mapping[tuple[Block, Key], Standing]


def candidates(calibrations: Iterable[str]) -> list[str]:
    """Rows of which one may be chosen and marked: the single languages; all beside references (`TARGET`), or if none
    is a single language.
    """
    names = list(calibrations)
    single = [name for name in names if is_single_language(name)]
    return names if TARGET in names or not single else single


def standings(evidence: Mapping[Block, Mapping[Key, Column]], references: bool) -> dict[tuple[Block, Key], Standing]:
    """Of every column with two rows and two groups of items; with `references` of mixes beside English and `TARGET`."""
    found = {}
    for block, columns in evidence.items():
        for key, column in columns.items():
            shown = _beside_references(column, key) if references else column
            if len(shown.values) > 1 and shown.n_groups > 1:
                found[block, key] = _standing(shown, language_of(key[1]))
    return found


def _beside_references(column: Column, key: Key) -> Column:
    """As `rows.shown_and_kept`."""
    kept = {name: name for name in column.values if is_other(name) or name == "en"}
    if (own := language_of(key[1])) in column.values:
        kept[TARGET] = own
    return replace(
        column,
        values={name: column.values[source] for name, source in kept.items()},
        seeds={name: column.seeds[source] for name, source in kept.items()},
    )


def _standing(column: Column, language: str) -> Standing:
    target = TARGET if TARGET in column.values else language
    whole = Comparison([column], target)
    chosen = candidates(column.values)
    able = (
        Comparison([column.only({name: column.seeds[name] for name in chosen})], target).not_worse() if chosen else []
    )
    best = whole.best
    behind = {name: {best: 1.0, name: -1.0} for name in whole.means if name != best}
    intervals = {name: whole.interval(weights) for name, weights in behind.items()}
    distances = [whole.difference(weights).value - intervals[name][0] for name, weights in behind.items()]
    return Standing(
        may_be_best=frozenset(able),
        told=frozenset(set(whole.means) - set(whole.not_worse())),
        resolution=_in_table(column.kind, whole.means[best], float(np.median(distances))),
        behind={
            name: (_in_table(column.kind, whole.means[best], low), _in_table(column.kind, whole.means[best], high))
            for name, (low, high) in intervals.items()
        },
        items=len(column.groups),
        kind=column.kind,
        chance=None if column.chance is None else 100 * column.chance,
    )


def _in_table(kind: str, best: float, difference: float) -> float:
    """A difference of values of `report/measured.py` as tables print them: per cent, dB, and above the best."""
    if kind in SHARES:
        return 100 * difference
    return difference if kind == "snr" else math.exp(-best) * math.expm1(difference)
