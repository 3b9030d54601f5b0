"""How the inputs of a dense model's matrices range in each language, and how alike their salient features are."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from polyprune.artifacts.measurements import ACTIVATION_RANGES
from polyprune.report.figures.drawing import GREY, Sheet, colour_of, language_keys, marker_of, marker_size
from polyprune.settings.studies import FigureSettings

LAYOUT = ACTIVATION_RANGES

_WIDTH, _HEIGHT, _LEFT, _GAP = 1.9, 1.45, 0.55, 0.5
"""Of a panel, inches; left of all panels, and between them."""


def rows(measured: pd.DataFrame, figure: FigureSettings) -> pd.DataFrame:
    """Ranges of all features, of the one in the middle, and overlaps; of `figure.layers`, from 1, if given."""
    measured = measured[(measured["layer"] + 1).isin(figure.layers)] if figure.layers else measured
    names = ["model", "layer", "matrix", "eval_language", "n"]
    of_all = measured.pivot_table(index=names, columns="metric", values="value", sort=False)
    whole = (of_all["highest"] - of_all["lowest"]).dropna().rename("value").reset_index().assign(metric="range")
    others = measured[measured["metric"].isin(["median_range", "salient_overlap"])]
    return pd.concat([whole, others[[*names, "other_language", "metric", "value"]]], ignore_index=True)


def draw(rows: pd.DataFrame, figure: FigureSettings, names: str) -> Figure:
    """A column of panels a matrix: above how wide its inputs range, below the overlap of salient features."""
    matrices, languages = list(dict.fromkeys(rows["matrix"])), sorted(set(rows["eval_language"]))
    keys = [*language_keys(languages), Line2D([], [], color=GREY, linestyle="--", label="feature in the middle")]
    width = _LEFT + len(matrices) * (_WIDTH + _GAP)
    sheet = Sheet(width, 2 * (_HEIGHT + _GAP) + 0.25, figure.title, _caption(rows, names), keys)
    for place, matrix in enumerate(matrices):
        shown, left = rows[rows["matrix"] == matrix], _LEFT + place * (_WIDTH + _GAP)
        above = sheet.axes(left, 0.25, _WIDTH, _HEIGHT)
        below = sheet.axes(left, 0.25 + _HEIGHT + _GAP, _WIDTH, _HEIGHT)
        for language in languages:
            marker = marker_of(language, languages)
            style = {"color": colour_of(language, languages), "marker": marker, "markersize": marker_size(marker)}
            of_language = shown[shown["eval_language"] == language]
            _line(above, of_language[of_language["metric"] == "range"], **style)
            middle = of_language[of_language["metric"] == "median_range"]
            _line(above, middle, **{**style, "marker": ""}, linestyle="--", linewidth=0.8)
            _line(below, _with_others(shown, language), **style)
        above.set_title(f"input of {matrix}", pad=3)
        above.set_yscale("log")
        above.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        above.yaxis.set_major_formatter("{x:g}")
        above.yaxis.set_minor_locator(NullLocator())
        below.set(xlabel="decoder layer", ylim=(-0.03, 1.03))
        if place == 0:
            above.set_ylabel("range")
            below.set_ylabel("overlap with others")
        for axes in (above, below):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return sheet.figure


def _with_others(rows: pd.DataFrame, language: str) -> pd.DataFrame:
    """The overlaps of one language with each other one."""
    pairs = rows[rows["metric"] == "salient_overlap"]
    return pairs[(pairs["eval_language"] == language) | (pairs["other_language"] == language)]


def _line(axes: Axes, rows: pd.DataFrame, **style: object) -> None:
    """Means by layer, counted from 1."""
    means = rows.groupby("layer")["value"].mean()
    axes.plot(means.index.to_numpy(dtype=int) + 1, means.to_numpy(dtype=float), **style)  # type: ignore[arg-type]


def _caption(rows: pd.DataFrame, names: str) -> str:
    n_tokens = int(rows.loc[rows["metric"] == "range", "n"].min())
    salient = rows.loc[rows["metric"] == "salient_overlap", "n"]
    of_features = "" if salient.empty else f", {int(salient.min()):,} to {int(salient.max()):,} of them"
    return (
        f"{names}, dense. Above: largest minus least value of all features of an input, over {n_tokens:,} tokens of "
        "each language at least; dashed, of the feature whose own range is in the middle. Below: the hundredth of the "
        f"features that are largest in a language on average{of_features}: intersection over union with those of "
        "another language, mean over the others."
    )
