"""Perplexity over the amount of calibration text, over the target language's share of it, and over sparsity.

    over_budget     a line a calibration, over its number of sequences
    over_dose       a line a second language, over the share of the language of evaluation, none to all
    over_sparsity   a line a calibration, over the scheme: perplexity divided by that of calibrating in the language of
                    evaluation with the same seed

A panel a language of evaluation. `value` is the mean over seeds, `low` and `high` the smallest and the largest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from polyprune.artifacts.measurements import Layout
from polyprune.artifacts.scores import COLUMNS, SCHEMA
from polyprune.errors import UserError
from polyprune.grammar.calibrations import PLAIN, parse_calibration
from polyprune.grammar.paths import DENSE
from polyprune.grammar.schemes import parse_scheme
from polyprune.grammar.titles import scheme_title
from polyprune.report.figures.drawing import (
    DENSE_COLOUR,
    GREY,
    colour_of,
    language_keys,
    marker_of,
    marker_size,
    number_of_columns,
    panel_grid,
)
from polyprune.settings.studies import FigureSettings

LAYOUT = Layout(SCHEMA, [(field.name, field.type) for field in COLUMNS])

_SIZE, _GAP = (2.2, 1.6), (0.55, 0.55)
_BEYOND = 9.0
"""Per cent of sparsity between the places of schemes that have none of their own on the axis."""
_TICKS = (0.1, 0.2, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0, 1000.0, 10_000.0)
_WHAT = {
    "over_budget": ("calibration sequences", "perplexity"),
    "over_dose": ("share of the language [%]", "perplexity"),
    "over_sparsity": ("weights removed [%]", "perplexity / own language's"),
}
_SAID = {
    "over_budget": "Perplexity on text of each language by the number of calibration sequences; a line a calibration.",
    "over_dose": "Perplexity on text of each language by its share of the calibration text; the rest is in the "
    "language of the line, 0 is that language alone and 100 the language itself.",
    "over_sparsity": "Perplexity on text of each language after calibrating in another, divided by that after "
    "calibrating in the language itself with the same seed: 1 is where it does not matter.",
}
_SCALES = {
    "over_budget": "Each panel has a scale of its own.",
    "over_dose": "Each panel has a scale of its own.",
    "over_sparsity": "Each panel has a scale of its own, a logarithmic one; n:m stands beyond the last sparsity.",
}
_MOST_LETTERS = 24
_APART = 0.08
"""Of an axis, what two ticks are apart at least."""
_GROUP = ["scheme", "eval_language", "line", "x"]


def rows(measured: pd.DataFrame, figure: FigureSettings) -> pd.DataFrame:
    """The points of all lines, by scheme, language of evaluation, line and x; those of the dense model have no x.

    Raises:
        UserError: no cell has a place in such a figure.
    """
    shown = measured[(measured["metric"] == "perplexity") & measured["layer"].isna()]
    dense, cells = shown[shown["method"] == DENSE], shown[shown["method"] != DENSE]
    points = pd.DataFrame(list(_POINTS[figure.draws](cells, figure)), columns=[*_GROUP, "value", "n"])
    if points.empty:
        raise UserError(f"{figure.title}: no cell of its grids has a place in a figure {figure.draws}")
    means = points.groupby(_GROUP, as_index=False).agg(
        value=("value", "mean"), low=("value", "min"), high=("value", "max"), n_seeds=("value", "size"), n=("n", "max")
    )
    means.insert(0, "model", cells["model"].iloc[0])
    if figure.draws == "over_sparsity":
        return means
    languages = dense[dense["eval_language"].isin(list(means["eval_language"]))]
    floor = languages[["model", "scheme", "eval_language", "value", "n"]].assign(line=DENSE, x=math.nan, n_seeds=1)
    floor = floor.assign(low=floor["value"], high=floor["value"])
    return pd.concat([floor[means.columns], means], ignore_index=True)


def _over_budget(cells: pd.DataFrame, figure: FigureSettings) -> Iterator[tuple[Any, ...]]:
    for row in cells.to_dict("records"):
        asked = parse_calibration(str(row["calibration"]))
        x = float(asked.budget or figure.sequences or math.nan)
        yield row["scheme"], row["eval_language"], asked.source.text, x, row["value"], row["n"]


def _over_dose(cells: pd.DataFrame, figure: FigureSettings) -> Iterator[tuple[Any, ...]]:  # noqa: ARG001
    """Documents of the model's own corpus, as many as it takes: of whatever says no more than languages and shares.
    Each cell of one language is an end of several lines.
    """
    of_cells = [(row, parse_calibration(str(row["calibration"]))) for row in cells.to_dict("records")]
    of_cells = [(row, asked) for row, asked in of_cells if asked.kind == parse_calibration(PLAIN).kind]
    pairs = {asked.languages for _, asked in of_cells if len(asked.terms) == 2}
    for row, asked in of_cells:
        target = row["eval_language"]
        for pair in (each for each in pairs if target in each and set(asked.languages) <= set(each)):
            share = sum(term.share for term in asked.terms if term.language == target)
            (line,) = set(pair) - {target}
            yield row["scheme"], target, line, float(100 * share), row["value"], row["n"]


def _over_sparsity(cells: pd.DataFrame, figure: FigureSettings) -> Iterator[tuple[Any, ...]]:  # noqa: ARG001
    places = scheme_places(sorted(set(cells["scheme"])))
    own = cells[cells["calibration"] == cells["eval_language"]]
    reference = own.set_index(["scheme", "eval_language", "seed"])["value"].to_dict()
    for row in cells[cells["calibration"] != cells["eval_language"]].to_dict("records"):
        if value := reference.get((row["scheme"], row["eval_language"], row["seed"])):
            x = places[str(row["scheme"])]
            yield row["scheme"], row["eval_language"], row["calibration"], x, row["value"] / value, row["n"]


_POINTS = {"over_budget": _over_budget, "over_dose": _over_dose, "over_sparsity": _over_sparsity}


def has_place(scheme: str) -> bool:
    """Whether its sparsity alone says where it stands on the axis."""
    parsed = parse_scheme(scheme)
    return (
        parsed.sparsity is not None and not parsed.dense_ends and parsed.allocation is None and parsed.exchange is None
    )


def scheme_places(schemes: Sequence[str]) -> dict[str, float]:
    """Places on the axis of per cents removed: unstructured ones at theirs, others one after another beyond."""
    own = {scheme: 100 * float(parse_scheme(scheme).sparsity or 0) for scheme in schemes if has_place(scheme)}
    last = max(own.values(), default=0.0)
    return own | {name: last + _BEYOND * place for place, name in enumerate((s for s in schemes if s not in own), 1)}


def draw(rows: pd.DataFrame, figure: FigureSettings, names: str) -> Figure:
    """The picture of a figure's rows."""
    languages = sorted(set(rows["eval_language"]))
    lines = sorted(set(rows["line"]) - {DENSE})
    key = [*language_keys(lines)]
    if DENSE in set(rows["line"]):
        key.insert(0, Line2D([], [], color=DENSE_COLOUR, linestyle="--", label="dense"))
    columns = number_of_columns(len(languages), _SIZE[0] + _GAP[0])
    sheet, panels = panel_grid(len(languages), columns, _SIZE, _GAP, figure.title, _caption(rows, figure, names), key)
    across, up = _WHAT[figure.draws]
    for place, (language, axes) in enumerate(zip(languages, panels, strict=True)):
        axes.set_title(language.upper(), pad=3)
        _draw_lines(axes, rows[rows["eval_language"] == language], lines, figure.draws)
        _label_axis(axes, rows, figure.draws)
        axes.set_xlabel(across)
        if place % columns == 0:
            axes.set_ylabel(up)
    return sheet


def _draw_lines(axes: Axes, rows: pd.DataFrame, lines: Sequence[str], draws: str) -> None:
    """Means, joined, and a bar from the smallest to the largest seed; schemes beyond the last sparsity stand alone."""
    for line, points in rows.groupby("line"):
        if line == DENSE:
            axes.axhline(float(points["value"].iloc[0]), color=DENSE_COLOUR, linestyle="--", zorder=1)
            continue
        points = points.sort_values("x")
        x, value, low, high = (points[name].to_numpy(dtype=float) for name in ("x", "value", "low", "high"))
        colour, marker = colour_of(str(line), lines), marker_of(str(line), lines)
        style: dict[str, Any] = {"color": colour, "marker": marker, "markersize": marker_size(marker), "zorder": 3}
        joined = np.array([draws != "over_sparsity" or has_place(scheme) for scheme in points["scheme"]])
        axes.plot(x[joined], value[joined], **style)
        axes.plot(x[~joined], value[~joined], linestyle="", **style)
        axes.vlines(x, low, high, color=colour, linewidth=0.8, zorder=2)


def _label_axis(axes: Axes, rows: pd.DataFrame, draws: str) -> None:
    places = sorted(set(rows["x"].dropna()))
    axes.tick_params(length=2, pad=1.5)
    labels = [f"{place:g}" for place in places]
    if draws == "over_budget":
        axes.set_xscale("log", base=2)
    if draws == "over_sparsity":
        axes.set_yscale("log")
        axes.axhline(1, color=GREY, linewidth=0.6, zorder=1)
        ticks = _ticks(*axes.get_ylim())
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        schemes = dict(zip(rows["x"], rows["scheme"], strict=True))
        labels = [f"{place:g}" if has_place(schemes[place]) else scheme_title(schemes[place]) for place in places]
    axes.set_xticks(places, labels, rotation=90 if max(map(len, labels)) * len(places) > _MOST_LETTERS else 0)
    axes.minorticks_off()


def _ticks(low: float, high: float) -> list[float]:
    """Those within a logarithmic axis that stand apart, the nearest to 1 first."""
    found: list[float] = []
    for tick in sorted((tick for tick in _TICKS if low <= tick <= high), key=lambda tick: abs(math.log(tick))):
        if all(abs(math.log(tick / other)) > _APART * math.log(high / low) for other in found):
            found.append(tick)
    return sorted(found)


def _caption(rows: pd.DataFrame, figure: FigureSettings, names: str) -> str:
    seeds = int(rows["n_seeds"].max())
    bars = f" Points: mean of {seeds} seeds, bars: smallest to largest." if seeds > 1 else " One seed."
    dense = " Dashed: the model before compression." if DENSE in set(rows["line"]) else ""
    tokens = int(rows["n"].max())
    return f"{names}. {_SAID[figure.draws]}{bars}{dense} Up to {tokens:,} tokens a language. {_SCALES[figure.draws]}"
