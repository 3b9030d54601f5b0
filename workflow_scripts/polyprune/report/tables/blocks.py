"""Printed tables: a block per model, method and scheme; in it a panel per metric, calibration down, evaluation across.

Numbers of a panel are in the unit that its title states, so that renderers only format and place them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from polyprune.grammar.columns import place_in_tables
from polyprune.grammar.paths import DENSE
from polyprune.report.measured import SHARES
from polyprune.report.names import TARGET, is_other, language_of
from polyprune.report.numbers import decimals_of, format_number
from polyprune.report.tables.standing import Standing, Standings, candidates

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


NUMBERS = ("value", "std", "n_seeds", "n", "paper", "low", "high")
"""Of a cell: mean and standard deviation over seeds, questions or tokens of one seed, the paper's value, and the ends
of the 95 % interval by which it is worse than the best of its column."""


@dataclass(frozen=True)
class Metric:
    """How a metric is printed. A `scaled` one is printed in a power of ten that suits the table's numbers.

    `decimals` are the same in the whole table; if None, three significant digits of its median number.
    """

    key: str
    title: str
    larger_is_better: bool
    unit: str = ""
    scaled: bool = False
    decimals: int | None = None


@dataclass(frozen=True)
class Panel:
    """One metric of a block; frames are indexed [calibration, evaluation language], NaN where there is no value."""

    name: str
    title: str
    larger_is_better: bool
    decimals: int
    mean: pd.DataFrame
    std: pd.DataFrame
    paper: pd.DataFrame
    top: pd.DataFrame
    """bool: best of the candidates in its column, all of them if equal; see `best_cells`."""
    marked: pd.DataFrame
    """bool: candidates that cannot be told from the best, none where none can be; `top` where no error is known."""
    told: pd.DataFrame
    """bool: rows that can be told from the best of all rows; all of a column of which no error is known."""
    width: pd.Series
    """By column, the least width of a scale of shades: twice the difference that can be told; 0 where not known."""
    note: str
    """Questions, the difference that can be told, chance; empty if none is known."""
    numbers: Mapping[str, pd.DataFrame]
    """What stands behind each mean, by `NUMBERS`."""

    @property
    def languages(self) -> list[str]:
        """Evaluation languages: the columns."""
        return [str(language) for language in self.mean.columns]

    def text(self, value: float) -> str:
        return format_number(value, self.decimals)


@dataclass(frozen=True)
class Block:
    """A model compressed by one method and scheme; all panels have the same rows."""

    model: str
    method: str
    scheme: str
    panels: tuple[Panel, ...]
    n_seeds: tuple[int, ...]
    """Different numbers of seeds that means of cells are taken over, ascending."""

    @property
    def calibrations(self) -> list[str]:
        """Rows of all panels; the first is the dense model."""
        return [str(calibration) for calibration in self.panels[0].mean.index]

    @property
    def languages(self) -> list[str]:
        """Evaluation languages of all panels."""
        return sorted({language_of(column) for panel in self.panels for column in panel.languages})

    @property
    def has_references(self) -> bool:
        """Whether its mixes stand below English and the target language."""
        return TARGET in self.calibrations


def make_blocks(means: pd.DataFrame, metrics: Sequence[Metric], standings: Standings | None = None) -> list[Block]:
    """Arrange aggregated rows (`rows.aggregate`), in their order; the dense model is the first row of its blocks."""
    known = standings or {}
    exponents = {metric.key: _exponent(means, metric) for metric in metrics}
    decimals = {metric.key: _decimals(means, metric, exponents[metric.key]) for metric in metrics}
    cells = means[means["method"] != DENSE]
    blocks = []
    for model, method, scheme in (
        cells[["model", "method", "scheme"]].drop_duplicates().itertuples(index=False, name=None)
    ):
        of_block = cells[(cells["model"] == model) & (cells["method"] == method) & (cells["scheme"] == scheme)]
        shown = pd.concat([means[(means["model"] == model) & (means["method"] == DENSE)], of_block])
        calibrations = list(dict.fromkeys(shown["calibration"]))
        panels = []
        for metric in metrics:
            columns = {key[1]: each for (block, key), each in known.items()
                       if block == (model, method, scheme) and key[0] == metric.key}  # fmt: skip
            panels.append(_panel(shown, metric, exponents[metric.key], decimals[metric.key], calibrations, columns))
        blocks.append(Block(model, method, scheme, tuple(panels), tuple(sorted(set(of_block["n_seeds"])))))
    return blocks


def _exponent(means: pd.DataFrame, metric: Metric) -> int:
    """Multiple of three that brings the median into [1, 1000); 0 if the metric is not scaled."""
    median = means.loc[means["metric"] == metric.key, "mean"].median()
    return 3 * math.floor(math.log10(median) / 3) if metric.scaled and 0 < median < math.inf else 0


def _decimals(means: pd.DataFrame, metric: Metric, exponent: int) -> int:
    if metric.decimals is not None:
        return metric.decimals
    values = means.loc[means["metric"] == metric.key, "mean"] / 10.0**exponent
    finite = values[np.isfinite(values.to_numpy(dtype=float))]
    return decimals_of(float(finite.median())) if len(finite) else 0


def _panel(
    shown: pd.DataFrame,
    metric: Metric,
    exponent: int,
    decimals: int,
    calibrations: list[str],
    standings: Mapping[str, Standing],
) -> Panel:
    values = shown[shown["metric"] == metric.key]
    columns = sorted(set(values["eval_language"]), key=place_in_tables)
    at = (
        [calibrations.index(name) for name in values["calibration"]],
        [columns.index(n) for n in values["eval_language"]],
    )

    def across(name: str) -> pd.DataFrame:
        found = np.full((len(calibrations), len(columns)), np.nan)
        found[at] = values[name].to_numpy(dtype=float, na_value=np.nan)
        return pd.DataFrame(found, calibrations, columns)

    mean, std, paper, n_seeds, n = map(across, ("mean", "std", "paper_value", "n_seeds", "n"))
    mean, std, paper = (frame / 10.0**exponent for frame in (mean, std, paper))
    behind = {end: _behind(standings, mean, end) / 10.0**exponent for end in (0, 1)}
    unit = f"10{str(exponent).translate(_SUPERSCRIPTS)}" if exponent else metric.unit
    scores = sorted(set(values["score"]) - {""}) if "score" in values else []
    about = ", ".join(["/".join(scores), unit]).strip(", ")
    top = best_cells(mean, metric.larger_is_better)
    scaled = {language: each.resolution / 10.0**exponent for language, each in standings.items()}
    return Panel(
        name=metric.title,
        title=f"{metric.title} [{about}]" if about else metric.title,
        larger_is_better=metric.larger_is_better,
        decimals=decimals,
        mean=mean,
        std=std,
        paper=paper,
        top=top,
        marked=_marks(standings, top),
        told=_rows_in({language: each.told for language, each in standings.items()}, ~mean.isna()),
        width=pd.Series({language: 2 * scaled.get(language, 0.0) for language in columns}, dtype="float64"),
        note=_note(list(standings.values()), list(scaled.values()), decimals),
        numbers=dict(zip(NUMBERS, (mean, std, n_seeds, n, paper, behind[0], behind[1]), strict=True)),
    )


def _behind(standings: Mapping[str, Standing], mean: pd.DataFrame, end: int) -> pd.DataFrame:
    """One end of the interval by which each cell is worse than the best of its column, where that is known."""
    found: dict[Any, list[float]] = {}
    for language in mean.columns:
        known = standings[language].behind if language in standings else {}
        found[language] = [known[name][end] if name in known else math.nan for name in mean.index]
    return pd.DataFrame(found, index=mean.index, columns=mean.columns, dtype="float64")


def _rows_in(names: Mapping[str, frozenset[str]], otherwise: pd.DataFrame) -> pd.DataFrame:
    """bool: whether a row is named for its column; as `otherwise` in columns that are not there."""
    found = otherwise.copy()
    for language, rows in names.items():
        if language in found and otherwise[language].any():
            found[language] = [name in rows for name in found.index]
    return found


def _marks(standings: Mapping[str, Standing], top: pd.DataFrame) -> pd.DataFrame:
    """Those that may be the best; none in a column where all may be."""
    chosen = set(candidates([str(name) for name in top.index if name != DENSE]))
    named = {
        language: each.may_be_best if chosen - each.may_be_best else frozenset() for language, each in standings.items()
    }
    return _rows_in(named, top)


def _note(standings: Sequence[Standing], resolutions: Sequence[float], decimals: int) -> str:
    """What the numbers of a panel rest on: `60 questions, told apart from 9.1 on, chance 25.0`."""
    if not standings:
        return ""
    things = "questions" if standings[0].kind in SHARES else "sequences"
    parts = [f"{_range([each.items for each in standings], '{:,}')} {things}"]
    parts.append(f"told apart from {format_number(float(np.median(resolutions)), max(decimals, 1))} on")
    if chances := [each.chance for each in standings if each.chance is not None]:
        parts.append(f"chance {_range([round(each, 1) for each in chances], '{:g}')}")
    return ", ".join(parts)


def _range(values: Sequence[float], form: str) -> str:
    low, high = form.format(min(values)), form.format(max(values))
    return low if low == high else f"{low} to {high}"


def best_cells(mean: pd.DataFrame, larger_is_better: bool) -> pd.DataFrame:
    """Which cells are the best of the candidates (`candidates`) in their column: all of them if equal.

    Means are equal where their counts are (`exact_mean`). None in a column with fewer than two candidates: there was no
    choice.
    """
    rows = mean.loc[candidates([str(name) for name in mean.index if name != DENSE])]
    target = rows.max() if larger_is_better else rows.min()
    best = rows.eq(target) & (rows.count() > 1)
    return best.reindex(mean.index, fill_value=False)


@dataclass(frozen=True)
class Wins:
    """How often calibrating in the evaluation language is best."""

    best: int
    alone: int
    by_chance: float
    """Columns in which it would be among the best if it were any of the rows."""
    columns: int


def wins(panel: Panel) -> Wins:
    """Over the columns whose own language is among the candidates."""
    top: Any = panel.top
    columns = [column for column in top.columns if language_of(column) in top.index and top[column].any()]
    own = [bool(top.loc[language_of(column), column]) for column in columns]
    tied = [int(top[column].sum()) for column in columns]
    there: Any = panel.mean.loc[candidates([str(name) for name in top.index if name != DENSE])].count()
    return Wins(
        best=sum(own),
        alone=sum(mine and ties == 1 for mine, ties in zip(own, tied, strict=True)),
        by_chance=sum(ties / there[column] for column, ties in zip(columns, tied, strict=True)),
        columns=len(columns),
    )


def above_references(block: Block) -> dict[str, tuple[tuple[int, int], tuple[int, int]]]:
    """Of each mix and the like: in how many columns it is better than the target language and English, of how many."""
    found = {}
    for name in block.calibrations:
        if is_other(name):
            apart: Any = pd.concat(
                [
                    (panel.mean.loc[name] - panel.mean.loc[[TARGET, "en"]]) * (1 if panel.larger_is_better else -1)
                    for panel in block.panels
                ],
                axis=1,
            )
            better, there = (apart > 0).sum(axis=1), apart.notna().sum(axis=1)
            of_target, of_english = ((int(better.loc[row]), int(there.loc[row])) for row in (TARGET, "en"))
            found[name] = of_target, of_english
    return found


def seeds_phrase(blocks: Sequence[Block]) -> str:
    """`means over 3 seeds`, for a caption."""
    counts = sorted({count for block in blocks for count in block.n_seeds})
    if counts == [1]:
        return "values of one seed"
    return f"means over {' or '.join(map(str, counts))} seeds"
