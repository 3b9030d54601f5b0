"""Routing of languages over experts: who is sent where, and how alike, before and after compression."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from polyprune.artifacts.measurements import ROUTING
from polyprune.grammar.calibrations import is_single_language
from polyprune.grammar.paths import DENSE
from polyprune.report.figures.drawing import (
    DENSE_COLOUR,
    GREY,
    SHADES,
    Sheet,
    colour_of,
    language_keys,
    marker_of,
    marker_size,
    panel_grid,
)
from polyprune.report.names import calibration_label
from polyprune.report.routing import KEPT, OVERLAP, compared, grid_of
from polyprune.settings.studies import FigureSettings

LAYOUT = ROUTING

_ROW, _WIDE, _NARROW, _LEFT, _TITLE, _SCALE = 0.16, 0.16, 0.035, 0.5, 0.34, 0.75
"""Height of a language; width of an expert, with room and without; of labels, titles and the scale."""
_MOST_WIDTH = 12.0


def rows(measured: pd.DataFrame, figure: FigureSettings) -> pd.DataFrame:
    """`routing_shares`: means over seeds by layer, language and expert; `routing_overlap`: what is `compared`.

    Of `figure.layers`, from 1, if given.
    """
    shown = measured[(measured["layer"] + 1).isin(figure.layers)] if figure.layers else measured
    if figure.draws == "routing_overlap":
        found = compared(shown)
        return found[found["metric"].isin([OVERLAP, KEPT])].reset_index(drop=True)
    groups = ["model", "method", "scheme", "calibration", "layer", "eval_language", "expert"]
    means = {"value": ("value", "mean"), "removed": ("removed", "mean"), "n": ("n", "first")}
    return shown.groupby(groups, as_index=False, sort=False).agg(**means)


def draw(rows: pd.DataFrame, figure: FigureSettings, names: str) -> Figure:
    """The picture of a figure's rows."""
    return (_draw_overlap if figure.draws == "routing_overlap" else _draw_shares)(rows, figure, names)


def _calibrations(rows: pd.DataFrame) -> list[str]:
    """The dense model, then calibrations in alphabetical order."""
    return [DENSE, *sorted(set(rows["calibration"]) - {DENSE})]


def _draw_shares(rows: pd.DataFrame, figure: FigureSettings, names: str) -> Figure:
    """A row of panels a layer, a column the dense model and each calibration: languages down, experts across."""
    calibrations, layers = _calibrations(rows), sorted(set(rows["layer"]))
    languages, experts = sorted(set(rows["eval_language"])), 1 + int(rows["expert"].max())
    room = (_MOST_WIDTH - _LEFT - _SCALE) / len(calibrations) - 0.15
    wide = experts * min(_WIDE, max(_NARROW, room / experts))
    tall = _ROW * len(languages)
    body = len(layers) * (tall + _TITLE) + 0.3
    width = _LEFT + len(calibrations) * (wide + 0.15) + _SCALE
    sheet = Sheet(width, body, figure.title, _caption_of_shares(rows, names))
    most = float(rows["value"].max())
    for down, layer in enumerate(layers):
        for across, calibration in enumerate(calibrations):
            shown = rows[(rows["layer"] == layer) & (rows["calibration"] == calibration)]
            axes = sheet.axes(_LEFT + across * (wide + 0.15), _TITLE + down * (tall + _TITLE), wide, tall)
            _draw_panel(axes, shown, most)
            title = "dense" if calibration == DENSE else calibration_label(calibration)
            axes.set_title(f"{title}, layer {layer + 1}" if across == 0 else title, pad=3)
            axes.set_yticks(np.arange(len(languages)) + 0.5, [x.upper() for x in languages] if across == 0 else [])
            if down == len(layers) - 1:
                axes.set_xlabel("expert (from 0)", labelpad=1)
            else:
                axes.set_xticklabels([])
    scale = sheet.axes(_LEFT + len(calibrations) * (wide + 0.15), _TITLE, 0.13, min(body - _TITLE - 0.4, 2.0))
    sheet.figure.colorbar(sheet.figure.axes[0].collections[0], cax=scale)  # type: ignore[arg-type]
    scale.set_title("share", pad=4)
    scale.tick_params(colors=GREY)
    return sheet.figure


def _draw_panel(axes: Axes, shown: pd.DataFrame, most: float) -> None:
    shares, removed = grid_of(shown), grid_of(shown, "removed").to_numpy(dtype=float) == 1
    values = np.ma.masked_array(shares.to_numpy(dtype=float), removed)
    axes.pcolormesh(values, cmap=SHADES.reversed(), vmin=0, vmax=most)
    gone = np.flatnonzero(removed.all(axis=0))
    for expert in gone:
        axes.plot([expert, expert + 1], [0, len(shares)], color=GREY, linewidth=0.6)
    axes.set_ylim(len(shares), 0)
    n_experts = len(shares.columns)
    step = next(step for step in (1, 2, 4, 8, 16, 32, 64) if n_experts / step <= 16)
    axes.set_xticks(np.arange(0, n_experts, step) + 0.5, [str(expert) for expert in range(0, n_experts, step)])
    axes.tick_params(length=2, pad=1.5)


def _caption_of_shares(rows: pd.DataFrame, names: str) -> str:
    said = (
        f"{names}. Share of a language's choices that each expert gets (a token makes as many as it is sent to experts)"
        f", {int(rows['n'].min()):,} a language and layer at least: the lighter, the larger, on one scale from 0. "
        "dense: before compression; others by calibration language."
    )
    return said + (" Blank and struck through: experts that all seeds remove." if (rows["removed"] == 1).any() else "")


def _draw_overlap(rows: pd.DataFrame, figure: FigureSettings, names: str) -> Figure:
    """By layer: on the left two languages in one model, on the right one language before and after compression."""
    calibrations = _calibrations(rows)[1:]
    keys = [Line2D([], [], color=DENSE_COLOUR, label="dense"), *language_keys(calibrations)]
    caption = (
        f"{names}. Overlap of the shares of choices that experts get: 1 − Jensen-Shannon divergence (base 2), means "
        "over seeds. Left: of two languages in one model, mean over pairs. Right: of the dense and the compressed "
        "model in one language, mean over languages; dashed: in the calibration language alone."
    )
    sheet, (left, right) = panel_grid(2, 2, (2.7, 1.8), (0.6, 0.5), figure.title, caption, keys)
    pairs, kept = (rows[rows["metric"] == metric] for metric in (OVERLAP, KEPT))
    _line(left, pairs[pairs["calibration"] == DENSE], color=DENSE_COLOUR, linewidth=1.8)
    for calibration in calibrations:
        marker = marker_of(calibration, calibrations)
        style = {"color": colour_of(calibration, calibrations), "marker": marker, "markersize": marker_size(marker)}
        _line(left, pairs[pairs["calibration"] == calibration], **style)
        of_cell = kept[kept["calibration"] == calibration]
        _line(right, of_cell, **style)
        if is_single_language(calibration):
            _line(right, of_cell[of_cell["eval_language"] == calibration], linestyle="--", **style)
    left.set(title="Between languages", ylabel="overlap", xlabel="decoder layer")
    right.set(title="Before and after compression", xlabel="decoder layer")
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return sheet


def _line(axes: Axes, rows: pd.DataFrame, **style: object) -> None:
    """Means by layer, counted from 1."""
    means = rows.groupby("layer")["value"].mean()
    axes.plot(means.index.to_numpy(dtype=int) + 1, means.to_numpy(dtype=float), **style)  # type: ignore[arg-type]
