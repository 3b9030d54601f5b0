"""The answer as a picture: what calibrating in the language of evaluation gains, with its interval, by language."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from polyprune.grammar.titles import Titles
from polyprune.report.answers.answer import ALL, POOLED
from polyprune.report.answers.answer_text import REFERENCES, benchmarks_in, metric_name
from polyprune.report.answers.comparison import OTHERS
from polyprune.report.figures.drawing import GREY, INK, PALE, panel_grid
from polyprune.report.figures.letters import wrapped
from polyprune.report.names import language_of

METRICS = {
    POOLED: ("gain [points of {score}], {benchmark}", "questions"),
    "perplexity": ("gain [perplexity lower by %]", "sequences"),
    "mkqa": ("gain [points of {score}], {benchmark}", "questions"),
}
"""Of each the gain and its unit, and what it is measured on."""
_STYLES = {"english": ("o", "#0072b2"), "mix": ("D", "#e69f00"), OTHERS: ("s", INK)}
_BLOCK = ["model", "method", "scheme"]
PANEL, GAP = (2.9, 1.9), (0.6, 0.9)


def draw(rows: pd.DataFrame, title: str, titles: Titles) -> Figure:
    """A panel a block and metric; `rows` are those of `report/answers/answer.py`."""
    measured = rows[rows["is_target"].astype(bool) & (rows["eval_language"] != ALL)]
    own = _with_lone_benchmarks(measured)
    of_panel = {
        (metric, block): of_metric[(of_metric[_BLOCK] == list(block)).all(axis=1)]
        for metric in METRICS
        if len(of_metric := own[own["metric"] == metric])
        for block in of_metric[_BLOCK].drop_duplicates().itertuples(index=False, name=None)
    }
    languages = sorted(set(own["eval_language"]), reverse=True)
    size = PANEL[0], max(PANEL[1], 0.24 * len(languages) + 0.3)
    heading = "The study compares no calibration with another." if not of_panel else _CAPTION
    sheet, axes = panel_grid(max(1, len(of_panel)), 4, size, GAP, title, heading, _keys(own))
    for place in axes[len(of_panel) :]:
        place.set_axis_off()
    for place, ((metric, (model, method, scheme)), shown) in zip(axes, of_panel.items(), strict=False):
        _draw_panel(place, shown, languages, _limits(own[own["metric"] == metric]))
        name = wrapped(titles.heading(model, method, scheme), size[0], 8.0, bold=True)
        place.set_title(name, loc="left")
        gain, items = METRICS[metric]
        score = "/".join(sorted(set(shown["score"].dropna())))
        of_block = measured[(measured[_BLOCK] == [model, method, scheme]).all(axis=1)]
        counted = gain.format(score=score, benchmark=metric_name(metric, titles, of_block))
        place.set_xlabel(f"{counted}\n{_range(shown['items'])} {items} a language, {_draws(shown)}")
        place.set_ylabel("evaluation language")
    return sheet


def _with_lone_benchmarks(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of `METRICS`; where a language has one benchmark in a block it stands for the mean of all."""
    parts = [rows.iloc[:0]]
    for _, found in rows.groupby(
        [*(rows[name] for name in _BLOCK), rows["eval_language"].map(language_of)], sort=False
    ):
        alone = benchmarks_in(found)
        if len(alone) == 1 and not (found["metric"] == POOLED).any():
            found = found.assign(metric=found["metric"].replace(alone[0], POOLED))
        parts.append(found)
    shown = pd.concat(parts)
    return shown[shown["metric"].isin(METRICS)]


_CAPTION = (
    "Gain of calibrating in the language of evaluation, right is better, with its interval; all benchmarks: their "
    "mean. Intervals are so wide that all comparisons among the calibrations of a language are right together with "
    "95 %; half of the 5 % is for these gains. Filled: better or worse. Hollow: open, or within the margin, which the "
    "grey band shows. One scale a metric. Intervals from one draw of calibration text do not cover other draws."
)


def _range(counts: pd.Series) -> str:
    low, high = f"{counts.min():,}", f"{counts.max():,}"
    return low if low == high else f"{low} to {high}"


def _draws(rows: pd.DataFrame) -> str:
    """Draws of calibration text."""
    counts = _range(rows["draws"])
    return "one draw" if counts == "1" else f"{counts} draws"


def _keys(own: pd.DataFrame) -> list[Line2D]:
    return [
        Line2D([], [], color=colour, marker=marker, linestyle="none", label=f"over {REFERENCES[name]}")
        for name, (marker, colour) in _STYLES.items()
        if (own["reference"] == name).any()
    ]


def _limits(rows: pd.DataFrame) -> tuple[float, float]:
    ends = rows[["low", "high", "gain"]].to_numpy(dtype=float)
    finite = np.append(ends[np.isfinite(ends)], 0.0)
    room = 0.05 * max(float(np.ptp(finite)), 1e-9)
    return float(finite.min()) - room, float(finite.max()) + room


def _draw_panel(axes: Axes, rows: pd.DataFrame, languages: list[str], limits: tuple[float, float]) -> None:
    references = [name for name in _STYLES if (rows["reference"] == name).any()]
    if len(rows):
        margin = float(rows["margin"].iloc[0])
        axes.axvspan(-margin, margin, color=PALE, alpha=0.5, linewidth=0)
    axes.axvline(0, color=GREY, linewidth=0.7)
    for row in rows.to_dict("records"):
        marker, colour = _STYLES[row["reference"]]
        y = languages.index(row["eval_language"]) + 0.22 * (
            (len(references) - 1) / 2 - references.index(row["reference"])
        )
        axes.plot([row["low"], row["high"]], [y, y], color=colour, linewidth=0.9)
        face = colour if row["verdict"] in ("better", "worse") else "white"
        axes.plot([row["gain"]], [y], marker=marker, color=colour, markerfacecolor=face, linestyle="none")
    axes.set_yticks(range(len(languages)), [name.upper() for name in languages])
    axes.set(ylim=(-0.6, len(languages) - 0.4), xlim=limits)
