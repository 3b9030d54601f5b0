"""Colour-coded tables as PNG, after the paper's table 1: the lighter a cell, the better in its column.

Everything is placed in inches from the top left corner, so that cells and letters have one size in every table.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.style
import numpy as np
from jaxtyping import Float64
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from polyprune.artifacts.atomic import atomic_write
from polyprune.grammar.paths import DENSE
from polyprune.report.names import calibration_label, is_mix
from polyprune.report.numbers import format_number
from polyprune.report.tables.blocks import Block, Panel, seeds_phrase

CELL_WIDTH, CELL_HEIGHT = 0.44, 0.235
MARGIN, AXIS_LABEL_WIDTH, PANEL_GAP = 0.25, 0.25, 0.32
HEADING_HEIGHT, BLOCK_GAP = 0.72, 0.16
LETTER_WIDTH, LINE_HEIGHT = 0.068, 0.165
"""Of running text; the title is half as large again."""
KEY_WIDTH, KEY_HEIGHT = 1.6, 0.13
DPI = 200
STYLE = {"font.family": "DejaVu Sans", "font.size": 8.0}
INK, PALE_INK, GREY = "#16202a", "#ffffff", "#5b6670"

SHADES = LinearSegmentedColormap.from_list("lighter is better", ["#f3f7fa", "#abcbe2", "#59a0ca", "#0275a0", "#004a68"])
"""From best (0) to worst (1): one hue, equal steps of CIELAB lightness from 97 to 29."""
PALE_FROM = 0.6
"""Shade from which letters are white: where contrast with white overtakes contrast with ink."""


def save_picture(path: Path, blocks: Sequence[Block], title: str, titles: Mapping[str, str]) -> None:
    """Draw the blocks below one another and write a PNG; same blocks, same bytes."""
    with matplotlib.style.context(["default", STYLE]), atomic_write(path) as part:
        figure = draw(blocks, title, titles)
        FigureCanvasAgg(figure).print_png(str(part), metadata={"Software": None})


def draw(blocks: Sequence[Block], title: str, titles: Mapping[str, str]) -> Figure:
    """Title, blocks, key of shades, caption, from top to bottom."""
    left = MARGIN + AXIS_LABEL_WIDTH + max(_label_width(block) for block in blocks)
    width = max(left + _block_width(block) for block in blocks) + MARGIN
    title = _wrapped(title, (width - 2 * MARGIN) / 1.5)
    caption = _wrapped(_caption(blocks), width - 2 * MARGIN)
    top = MARGIN + 1.5 * LINE_HEIGHT * _lines(title)
    below = top + sum(HEADING_HEIGHT + _block_height(block) + BLOCK_GAP for block in blocks) + LINE_HEIGHT
    height = below + 2 * KEY_HEIGHT + LINE_HEIGHT * _lines(caption) + MARGIN

    figure, axes = _sheet(width, height)
    axes.text(MARGIN, MARGIN, title, size=12, weight="bold", va="top", parse_math=False)
    for block in blocks:
        _draw_block(axes, block, block.heading(titles), left, top)
        top += HEADING_HEIGHT + _block_height(block) + BLOCK_GAP
    _draw_key(axes, MARGIN, below)
    axes.text(MARGIN, below + 2.2 * KEY_HEIGHT, caption, va="top", color=GREY, linespacing=1.4)
    return figure


def _sheet(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure with one invisible pair of axes in inches, y downwards."""
    figure = Figure(figsize=(width, height), dpi=DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    return figure, axes


def _draw_block(axes: Axes, block: Block, heading: str, left: float, top: float) -> None:
    """Heading, row labels and panels; `left` is where cells begin, `top` where the heading does."""
    first = top + HEADING_HEIGHT
    axes.text(MARGIN, top + 0.14, heading, size=9.5, weight="bold", va="top", parse_math=False)
    axes.text(
        *(MARGIN, first + _block_height(block) / 2),
        "calibration language",
        rotation=90,
        ha="left",
        va="center",
        color=GREY,
    )
    languages = block.languages
    for row, calibration in enumerate(block.calibrations):
        label = calibration_label(calibration, languages)
        axes.text(left - 0.08, first + (row + 0.5) * CELL_HEIGHT, label, ha="right", va="center")
    rule = next((row for row, name in enumerate(block.calibrations) if is_mix(name)), None)
    for panel in block.panels:
        _draw_panel(axes, panel, left, first)
        if rule is not None:
            y = first + rule * CELL_HEIGHT
            axes.plot([left, left + len(panel.mean.columns) * CELL_WIDTH], [y, y], color=INK, linewidth=0.9, zorder=3)
        left += _panel_width(panel) + PANEL_GAP


def _draw_panel(axes: Axes, panel: Panel, left: float, top: float) -> None:
    """Title, evaluation languages and cells of one metric."""
    n_rows, n_columns = panel.mean.shape
    values, best = panel.mean.to_numpy(dtype=float), panel.best.to_numpy(dtype=bool)
    shades = column_shades(values, np.array([name != DENSE for name in panel.mean.index]), panel.larger_is_better)
    edges_x, edges_y = left + CELL_WIDTH * np.arange(n_columns + 1), top + CELL_HEIGHT * np.arange(n_rows + 1)
    axes.pcolormesh(
        *(edges_x, edges_y, np.ma.masked_invalid(shades)),
        cmap=SHADES,
        vmin=0,
        vmax=1,
        edgecolors="white",
        linewidth=0.8,
    )
    axes.text(left, top - 0.38, f"{panel.title} {'↑' if panel.larger_is_better else '↓'}", weight="bold", va="center")
    axes.text(edges_x[-1], top - 0.38, "evaluation language", ha="right", va="center", color=GREY)
    for column, language in enumerate(panel.mean.columns):
        axes.text(left + (column + 0.5) * CELL_WIDTH, top - 0.12, str(language).upper(), ha="center", va="center")
    for (row, column), value in np.ndenumerate(values):
        x, y = float(edges_x[column]), float(edges_y[row])
        ink = PALE_INK if shades[row, column] > PALE_FROM else INK
        axes.text(x + CELL_WIDTH / 2, y + CELL_HEIGHT / 2, format_number(value), ha="center", va="center", color=ink)
        if best[row, column]:
            frame = (x + 0.02, y + 0.02), CELL_WIDTH - 0.04, CELL_HEIGHT - 0.04
            axes.add_patch(Rectangle(*frame, fill=False, edgecolor=INK, linewidth=1.2, zorder=4))


def column_shades(
    values: Float64[np.ndarray, "n_rows n_columns"], shaded: np.ndarray, larger_is_better: bool
) -> Float64[np.ndarray, "n_rows n_columns"]:
    """0 for the best to 1 for the worst value of each column, over the `shaded` rows; NaN where there is no shade.

    Infinite values get the end of the scale on their side; a column of equal values is all best.
    """
    losses = np.where(shaded[:, None], -values if larger_is_better else values, np.nan)
    shades = np.full_like(losses, np.nan)
    for column, loss in enumerate(losses.T):
        finite = loss[np.isfinite(loss)]
        low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
        shades[:, column] = (np.clip(loss, low, high) - low) / (high - low if high > low else 1.0)
    return shades


def _draw_key(axes: Axes, left: float, top: float) -> None:
    """The scale of shades with its ends named."""
    x = left + len("best") * LETTER_WIDTH + 0.05
    gradient = np.linspace(0, 1, 64)[None, :]
    axes.text(left, top + KEY_HEIGHT / 2, "best", va="center", color=GREY)
    axes.pcolormesh(np.linspace(x, x + KEY_WIDTH, 65), [top, top + KEY_HEIGHT], gradient, cmap=SHADES, vmin=0, vmax=1)
    axes.text(x + KEY_WIDTH + 0.05, top + KEY_HEIGHT / 2, "worst of its column", va="center", color=GREY)


def _caption(blocks: Sequence[Block]) -> str:
    mixes = any(is_mix(name) for block in blocks for name in block.calibrations)
    sentences = [
        f"Numbers are {seeds_phrase(blocks)}; ↓ smaller is better, ↑ larger is better.",
        "Shade: the lighter, the better, on the scale of its column.",
        "Frame: the best of the single-language calibrations in its column (all of them if equal).",
        "dense: the model before compression, not on the scale.",
        *(["Below the line: calibration on several languages."] if mixes else []),
    ]
    return " ".join(sentences)


def _label_width(block: Block) -> float:
    labels = (calibration_label(name, block.languages) for name in block.calibrations)
    return max(map(len, labels)) * 1.15 * LETTER_WIDTH + 0.1


def _panel_width(panel: Panel) -> float:
    """Room for the cells and, in narrow tables, for the line above them."""
    return max(len(panel.mean.columns) * CELL_WIDTH, (len(panel.title) + 24) * 1.05 * LETTER_WIDTH)


def _block_width(block: Block) -> float:
    return sum(map(_panel_width, block.panels)) + PANEL_GAP * (len(block.panels) - 1)


def _block_height(block: Block) -> float:
    return len(block.calibrations) * CELL_HEIGHT


def _wrapped(text: str, width: float) -> str:
    return textwrap.fill(text, int(width / LETTER_WIDTH))


def _lines(text: str) -> int:
    return text.count("\n") + 1
