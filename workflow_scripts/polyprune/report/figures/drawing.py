"""What all figures share: one colour and marker per language, letters, sheets of panels, files with stable bytes.

Colours are Okabe and Ito's (2008), told apart by colour-blind eyes; yellow, which print loses, is left out. Each
language also has a marker of its own, so that figures survive a grey printer.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from polyprune.artifacts.atomic import atomic_write

COLOURS = {
    "ar": "#d55e00",
    "de": "#009e73",
    "en": "#0072b2",
    "es": "#e69f00",
    "ru": "#cc79a7",
    "sw": "#000000",
    "zh": "#56b4e9",
}
MARKERS = {"ar": "o", "de": "s", "en": "^", "es": "D", "ru": "v", "sw": "P", "zh": "X"}
_MORE_COLOURS = ("#7f7f7f", "#8c564b", "#332288", "#999933", "#882255", "#44aa99", "#aa4499")
_MORE_MARKERS = ("<", ">", "p", "h", "d", "8", "H")
TITLE_LETTER = 0.092
DENSE_COLOUR = "#98a2ab"
"""Grey: the dense model has no calibration language. A pruned model has the colour of its own."""
INK, GREY, PALE = "#16202a", "#5b6670", "#c9d0d5"
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 8.0,
    "axes.titlesize": 8.0,
    "axes.titleweight": "bold",
    "axes.labelsize": 7.5,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.4,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "pdf.fonttype": 42,
    "figure.dpi": 160.0,
}


def colour_of(language: str, languages: Sequence[str] = ()) -> str:
    """Fixed for the seven languages of the paper; others get further ones by their place in `languages`."""
    return COLOURS.get(language) or _MORE_COLOURS[_place(language, languages) % len(_MORE_COLOURS)]


def marker_of(language: str, languages: Sequence[str] = ()) -> str:
    return MARKERS.get(language) or _MORE_MARKERS[_place(language, languages) % len(_MORE_MARKERS)]


def _place(language: str, languages: Sequence[str]) -> int:
    return sorted({*languages, language} - set(COLOURS)).index(language)


def save_figure(draw: Callable[[], Figure], pdf: Path, png: Path) -> None:
    """Write a figure in both formats; same figure, same bytes."""
    metadata: dict[str, Any] = {"CreationDate": None, "Creator": None, "Producer": None}
    with matplotlib.style.context(["default", STYLE]):
        figure = draw()
        with atomic_write(png) as part:
            FigureCanvasAgg(figure).print_png(str(part), metadata={"Software": None})
        with atomic_write(pdf) as part:  # last: it sets the figure's resolution
            FigureCanvasPdf(figure).print_pdf(str(part), metadata=metadata)


def save_png(draw: Callable[[], Figure], png: Path) -> None:
    """Write a picture of a table."""
    with matplotlib.style.context(["default", STYLE]), atomic_write(png) as part:
        FigureCanvasAgg(draw()).print_png(str(part), metadata={"Software": None})


def heading(figure: Figure, title: str, caption: str, legend: Sequence[Line2D] = (), columns: int = 8) -> None:
    """Title at the top left, key of colours below it, caption at the foot. Distances are in inches."""
    width, height = figure.get_size_inches()
    title = textwrap.fill(title, int((width - 0.24) / TITLE_LETTER))
    figure.text(0.12 / width, 1 - 0.1 / height, title, size=10, weight="bold", va="top", parse_math=False)
    figure.text(0.12 / width, 0.08 / height, wrapped(caption, width), color=GREY, size=7, va="bottom", linespacing=1.35)
    if legend:
        place = (0.08 / width, 1 - (head_height(title, width, False) - 0.14) / height)
        figure.legend(handles=legend, loc="upper left", bbox_to_anchor=place, ncols=columns, handlelength=1.8)


def head_height(title: str, width: float, legend: bool) -> float:
    """Room for the title and the key, in inches."""
    lines = textwrap.fill(title, int((width - 0.24) / TITLE_LETTER)).count("\n") + 1
    return 0.22 + 0.18 * lines + (0.22 if legend else 0.0)


def wrapped(text: str, width: float) -> str:
    return textwrap.fill(text, int((width - 0.24) / 0.0565))


def caption_height(caption: str, width: float) -> float:
    return 0.14 * (wrapped(caption, width).count("\n") + 1) + 0.12


def language_keys(languages: Sequence[str], lines: bool = True) -> list[Line2D]:
    """Entries of the key, in alphabetical order."""
    style = "-" if lines else ""
    return [
        Line2D(
            [],
            [],
            color=colour_of(language, languages),
            marker=marker_of(language, languages),
            linestyle=style,
            label=language.upper(),
        )
        for language in sorted(languages)
    ]


def panel_grid(
    n_panels: int,
    columns: int,
    size: tuple[float, float],
    gap: tuple[float, float],
    title: str,
    caption: str,
    legend: bool,
) -> tuple[Figure, list[Axes]]:
    """A figure with `n_panels` axes of `size` inches in rows of `columns`; `gap` is what labels need around each.

    Room for title, key and caption is added.
    """
    columns = min(columns, n_panels)
    rows = math.ceil(n_panels / columns)
    width = max(columns * (size[0] + gap[0]) + 0.15, 5.4)
    top, bottom = head_height(title, width, legend), caption_height(caption, width)
    height = rows * (size[1] + gap[1]) + top + bottom
    figure = Figure(figsize=(width, height))
    axes = []
    for index in range(n_panels):
        row, column = divmod(index, columns)
        left = gap[0] + column * (size[0] + gap[0])
        low = height - top - row * (size[1] + gap[1]) - 0.2 - size[1]
        axes.append(figure.add_axes((left / width, low / height, size[0] / width, size[1] / height)))
    return figure, axes


def number_of_columns(n_panels: int) -> int:
    """Columns of a sheet: eight for 32 panels, no more than four for a few."""
    return 8 if n_panels > 16 else min(4, n_panels)
