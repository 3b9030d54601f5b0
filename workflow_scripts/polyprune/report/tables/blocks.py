"""Printed tables: a block per model, method and scheme; in it a panel per metric, calibration down, evaluation across.

Numbers of a panel are in the unit that its title states, so that renderers only format and place them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from polyprune.grammar.columns import place_in_tables
from polyprune.grammar.paths import DENSE
from polyprune.grammar.titles import compression_title
from polyprune.report.names import is_single_language, language_of

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Metric:
    """How a metric is printed. A `scaled` one is printed in a power of ten that suits the table's numbers."""

    key: str
    title: str
    larger_is_better: bool
    unit: str = ""
    scaled: bool = False


@dataclass(frozen=True)
class Panel:
    """One metric of a block; frames are indexed [calibration, evaluation language], NaN where there is no value."""

    name: str
    title: str
    larger_is_better: bool
    mean: pd.DataFrame
    std: pd.DataFrame
    paper: pd.DataFrame
    best: pd.DataFrame
    """bool: best of the single-language calibrations in its column; see `best_cells`."""

    @property
    def languages(self) -> list[str]:
        """Evaluation languages: the columns."""
        return [str(language) for language in self.mean.columns]


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
    def compression(self) -> str:
        return compression_title(self.method, [self.scheme])

    def heading(self, titles: Mapping[str, str]) -> str:
        return f"{titles[self.model]}, {self.compression}"


def make_blocks(means: pd.DataFrame, metrics: Sequence[Metric]) -> list[Block]:
    """Arrange aggregated rows (`rows.aggregate`), in their order; the dense model is the first row of its blocks."""
    exponents = {metric.key: _exponent(means, metric) for metric in metrics}
    cells = means[means["method"] != DENSE]
    blocks = []
    for model, method, scheme in (
        cells[["model", "method", "scheme"]].drop_duplicates().itertuples(index=False, name=None)
    ):
        of_block = cells[(cells["model"] == model) & (cells["method"] == method) & (cells["scheme"] == scheme)]
        shown = pd.concat([means[(means["model"] == model) & (means["method"] == DENSE)], of_block])
        calibrations = list(dict.fromkeys(shown["calibration"]))
        panels = tuple(_panel(shown, metric, exponents[metric.key], calibrations) for metric in metrics)
        blocks.append(Block(model, method, scheme, panels, tuple(sorted(set(of_block["n_seeds"])))))
    return blocks


def _exponent(means: pd.DataFrame, metric: Metric) -> int:
    """Multiple of three that brings the median into [1, 1000); 0 if the metric is not scaled."""
    median = means.loc[means["metric"] == metric.key, "mean"].median()
    return 3 * math.floor(math.log10(median) / 3) if metric.scaled and 0 < median < math.inf else 0


def _panel(shown: pd.DataFrame, metric: Metric, exponent: int, calibrations: list[str]) -> Panel:
    values = shown[shown["metric"] == metric.key]
    columns = sorted(set(values["eval_language"]), key=place_in_tables)
    mean, std, paper = (
        values.pivot(index="calibration", columns="eval_language", values=column).reindex(calibrations, columns=columns)
        / 10.0**exponent
        for column in ("mean", "std", "paper_value")
    )
    unit = f"10{str(exponent).translate(_SUPERSCRIPTS)}" if exponent else metric.unit
    title = f"{metric.title} [{unit}]" if unit else metric.title
    best = best_cells(mean, metric.larger_is_better)
    return Panel(metric.title, title, metric.larger_is_better, mean, std, paper, best)


def best_cells(mean: pd.DataFrame, larger_is_better: bool) -> pd.DataFrame:
    """Which cells are the best of the single-language calibrations in their column: all of them if equal.

    None in a column with fewer than two single-language calibrations: there was no choice.
    """
    single = mean[[is_single_language(str(calibration)) for calibration in mean.index]]
    target = single.max() if larger_is_better else single.min()
    best = single.eq(target) & (single.count() > 1)
    return best.reindex(mean.index, fill_value=False)


def diagonal_count(panel: Panel) -> tuple[int, int]:
    """In how many columns calibrating in the evaluation language is best, and of how many that have this cell."""
    best = panel.best
    columns = [column for column in best.columns if language_of(column) in best.index and best[column].any()]
    return sum(bool(best.loc[language_of(column), column]) for column in columns), len(columns)


def seeds_phrase(blocks: Sequence[Block]) -> str:
    """`means over 3 seeds`, for a caption."""
    counts = sorted({count for block in blocks for count in block.n_seeds})
    if counts == [1]:
        return "values of one seed"
    return f"means over {' or '.join(map(str, counts))} seeds"
