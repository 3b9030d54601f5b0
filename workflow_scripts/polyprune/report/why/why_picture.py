"""The scatter of `why.py`: loss on benchmarks over drift, about columns' means; a panel a block and metric."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from polyprune.grammar.titles import Titles
from polyprune.report.figures.drawing import colour_of, panel_grid, small_ticks
from polyprune.report.numbers import format_number
from polyprune.report.why.why import ALL_BENCHMARKS, GIVEN, Pairs, pairs

SHOWN = {
    "perplexity": "ln perplexity",
    "snr": "−SNR [dB]",
    "kl": "KL divergence [nat/token]",
    "pruning_error": "ln pruning error",
}
CAPTION = (
    "Loss on benchmarks [points] over drift on the language's text; a point is a calibration language and a column (a "
    "benchmark in a language), both about the column's mean. Colour: evaluation language; ★: calibrated in it. r: "
    "partial correlation given columns and calibrations, with its 95 % interval; below it given also whether the "
    "calibration is the language's own. Each panel has scales of its own."
)


def draw_why(rows: pd.DataFrame, title: str, titles: Titles) -> Figure:
    """The picture of scores (rows as for `pairs`)."""
    found = [(block, metric, pair) for block, name, metric, pair in pairs(rows) if name == ALL_BENCHMARKS]
    languages = sorted({language for _, _, pair in found for language in pair.languages})
    columns = max(1, len({metric for _, metric, _ in found}))
    gap = (0.5, 0.88)
    sheet, panels = panel_grid(len(found), columns, (2.1, 1.6), gap, title, CAPTION, _key(languages))
    for index, ((block, metric, pair), axes) in enumerate(zip(found, panels, strict=True)):
        drift, loss = (values - values.mean(axis=0) for values in (pair.drift, pair.loss))
        for column, language in enumerate(pair.languages):
            own = np.array([calibration == language for calibration in pair.calibrations])
            colour = colour_of(language, languages)
            axes.plot(drift[~own, column], loss[~own, column], ".", color=colour, markersize=2.5)
            axes.plot(drift[own, column], loss[own, column], "*", color=colour, markersize=5)
        name = titles.heading(block["model"], block["method"], block["scheme"])
        axes.set_title(name, pad=3)
        axes.set_xlabel(f"{SHOWN[metric]}\n{_said(pair)}", labelpad=1.5)
        if index % columns == 0:
            axes.set_ylabel("loss [points]", labelpad=2)
        small_ticks(axes)
    return sheet


def _key(languages: Sequence[str]) -> list[Line2D]:
    return [
        Line2D([], [], color=colour_of(each, languages), marker=".", linestyle="", label=each.upper())
        for each in languages
    ]


def _said(pair: Pairs) -> str:
    """A line a correlation: `r 0.53 [0.41, 0.63]`."""
    parts = [pair.partial(given) for given in GIVEN[2:]]
    told = ["–" if part is None else f"{_number(part.r)} [{_number(part.low)}, {_number(part.high)}]" for part in parts]
    return f"r {told[0]}\n{told[1]} given own"


def _number(value: float) -> str:
    return format_number(value, 2)
