"""What all pictures share: shades, one colour and marker per language, sheets of panels, files with stable bytes.

Colours are Okabe and Ito's (2008), told apart by colour-blind eyes; yellow, which print loses, is left out. Each
language also has a marker of its own, so that figures survive a grey printer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib.style
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from polyprune.artifacts import pictures
from polyprune.artifacts.atomic import atomic_write
from polyprune.log import logger
from polyprune.report.figures.letters import (
    FONT,
    LINE_SPACING,
    families,
    package_for,
    shown,
    text_height,
    undrawable,
    widest,
    wrapped,
)
from polyprune.report.names import calibration_label

COLOURS = {
    "ar": "#d55e00",
    "de": "#009e73",
    "en": "#0072b2",
    "es": "#e69f00",
    "ru": "#cc79a7",
    "sw": "#000000",
    "zh": "#56b4e9",
}
MARKERS = {"ar": "o", "de": "s", "en": "^", "es": "D", "ru": "v", "sw": "+", "zh": "x"}
"""Filled shapes and two crosses of thin lines: at three points, filled crosses look like blots."""
MARKER_SIZE, CROSS_SIZE = 3.0, 4.6
"""Of markers on curves, in points: crosses are thin, and as wide as a curve's other markers they drown in its line."""
_MORE_COLOURS = ("#7f7f7f", "#8c564b", "#332288", "#999933", "#882255", "#44aa99", "#aa4499")
_MORE_MARKERS = ("<", ">", "p", "h", "d", "8", "H")
DENSE_COLOUR = "#98a2ab"
"""Grey: the dense model has no calibration language. A pruned model has the colour of its own."""
INK, GREY, PALE = "#16202a", "#5b6670", "#c9d0d5"
SHADES = LinearSegmentedColormap.from_list("lighter is better", ["#f3f7fa", "#abcbe2", "#59a0ca", "#0275a0", "#004a68"])
"""From best, or most (0) to worst, or least (1): one hue, equal steps of CIELAB lightness from 97 to 29."""

LEAST_OVERLAP = 0.1
"""How wide a scale of overlaps of masks is at least: where all are nearly alike, all look so."""

TITLE_SIZE, KEY_SIZE, CAPTION_SIZE, TICK_SIZE = 10.5, 7.5, 7.0, 6.5
MARGIN = 0.14
SMALLEST_WIDTH = 5.4
"""Of a sheet, so that captions have lines that can be read."""
LARGEST_WIDTH = 14.8
"""Of a sheet of panels; more of them go below."""
STYLE = {
    "font.family": FONT,
    "font.size": 8.0,
    "axes.titlesize": 8.0,
    "axes.titleweight": "bold",
    "axes.labelsize": 7.5,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": TICK_SIZE,
    "ytick.labelsize": TICK_SIZE,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.4,
    "legend.frameon": False,
    "legend.fontsize": KEY_SIZE,
    "text.hinting": "none",
    "pdf.fonttype": 42,
    "figure.dpi": 200.0,
}
"""Letters without hinting are as wide as `letters.text_width` says, on screen and in print."""
_NAMED = 40
"""Characters without a font."""


def colour_of(language: str, languages: Sequence[str] = ()) -> str:
    """Fixed for the seven languages of the paper; others get further ones by their place in `languages`."""
    return COLOURS.get(language) or _MORE_COLOURS[_place(language, languages) % len(_MORE_COLOURS)]


def marker_of(language: str, languages: Sequence[str] = ()) -> str:
    """Likewise; languages that must share a further colour have different markers."""
    if language in MARKERS:
        return MARKERS[language]
    place = _place(language, languages)
    return _MORE_MARKERS[(place + place // len(_MORE_COLOURS)) % len(_MORE_MARKERS)]


def marker_size(marker: str) -> float:
    return CROSS_SIZE if marker in ("+", "x") else MARKER_SIZE


def _place(language: str, languages: Sequence[str]) -> int:
    return sorted({*languages, language} - set(COLOURS)).index(language)


def overlap_limits(values: pd.Series) -> tuple[float, float]:
    """Ends of the scale of overlaps: their own, and from the largest `LEAST_OVERLAP` downwards at least."""
    high = float(values.max())
    return min(float(values.min()), high - LEAST_OVERLAP), high


def save_figure(draw: Callable[[], Figure], pdf: Path, png: Path, about: Mapping[str, Any]) -> None:
    """Write a figure in both formats; same figure, same bytes. The PNG says what it was made with, `about`."""
    metadata: dict[str, Any] = {"CreationDate": None, "Creator": None, "Producer": None}
    with _drawn(draw, png) as (figure, texts):
        _write_png(figure, png, texts | pictures.header_text(png, about))
        with atomic_write(pdf) as part:  # last: it sets the figure's resolution
            FigureCanvasPdf(figure).print_pdf(str(part), metadata=metadata)


def save_png(draw: Callable[[], Figure], png: Path) -> None:
    """Write the picture of a table; same figure, same bytes."""
    with _drawn(draw, png) as (figure, texts):
        _write_png(figure, png, texts)


@contextmanager
def _drawn(draw: Callable[[], Figure], png: Path) -> Iterator[tuple[Figure, dict[str, str]]]:
    """What is drawn, in `STYLE`, with the texts of its `Sheet`, for pages that show the picture.

    It is drawn once more with other fonts where `letters.FONT` lacks letters, and has ? for those that all fonts lack.
    """
    with styled():
        figure = draw()
        written = "".join(_texts(figure))
        fonts, lacking = families(written), undrawable(written)
        with matplotlib.rc_context({"font.family": list(fonts)}):
            if len(fonts) > 1:
                figure = draw()
            title, caption = (text.get_text().replace("\n", " ") for text in figure.texts[:2])
            if lacking:
                logger.warning(
                    "%s has ? for %s, which no font of this machine has: install one (Debian, Ubuntu: apt install %s), "
                    "delete the picture and run again", png, lacking[:_NAMED], package_for(lacking)
                )  # fmt: skip
                for text in figure.findobj(Text):
                    text.set_text(shown(text.get_text()))
            yield figure, {"Title": title, "Description": caption}


def _texts(figure: Figure) -> list[str]:
    """All that is written in it, at ticks too, which have their labels when they are asked."""
    at_ticks = [label for axes in figure.axes for label in (*axes.get_xticklabels(), *axes.get_yticklabels())]
    return [text.get_text() for text in (*at_ticks, *figure.findobj(Text))]


def styled() -> Any:
    """Context in which pictures are drawn: `STYLE`, whatever the machine's own settings are."""
    return matplotlib.style.context(["default", STYLE])


def _write_png(figure: Figure, png: Path, texts: Mapping[str, str]) -> None:
    with atomic_write(png) as part:
        FigureCanvasAgg(figure).print_png(str(part), metadata={"Software": None, **texts})


class Sheet:
    """A figure: title, key of colours, a body for panels, caption. Lengths are inches.

    Places are counted from the top left corner of the body, which begins below the key.
    """

    def __init__(self, width: float, body: float, title: str, caption: str, key: Sequence[Line2D] = ()) -> None:
        """`width` and `body` (its height) are what the panels need; the sheet may be wider."""
        self.width = max(width, SMALLEST_WIDTH)
        inner = self.width - 2 * MARGIN
        title, caption = wrapped(title, inner, TITLE_SIZE, bold=True), wrapped(caption, inner, CAPTION_SIZE)
        below_title = MARGIN + text_height(title, TITLE_SIZE)
        columns = _key_columns(key, inner)
        key_height = 0.165 * math.ceil(len(key) / columns) + 0.14 if key else 0.0
        self._top = below_title + key_height
        self.height = self._top + body + text_height(caption, CAPTION_SIZE) + MARGIN
        self.figure = Figure(figsize=(self.width, self.height))
        self._text(MARGIN, MARGIN, title, size=TITLE_SIZE, weight="bold", va="top")
        self._text(MARGIN, self.height - 0.7 * MARGIN, caption, size=CAPTION_SIZE, color=GREY, va="bottom")
        if key:
            corner = (MARGIN - 0.02) / self.width, 1 - (below_title + 0.02) / self.height
            self.figure.legend(
                handles=key,
                loc="upper left",
                bbox_to_anchor=corner,
                ncols=columns,
                handlelength=1.8,
                columnspacing=1.6,
                borderpad=0.2,
                borderaxespad=0.0,
            )

    def _text(self, x: float, y: float, text: str, **how: Any) -> None:
        """Text at inches from the sheet's top left corner."""
        x, y = x / self.width, 1 - y / self.height
        self.figure.text(x, y, text, parse_math=False, linespacing=LINE_SPACING, **how)

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes of a size at a place of the body."""
        low = self.height - self._top - top - height
        return self.figure.add_axes((left / self.width, low / self.height, width / self.width, height / self.height))

    def canvas(self) -> Axes:
        """Invisible axes over the whole sheet, whose data are inches of the body, y downwards."""
        axes = self.figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, self.width), ylim=(self.height - self._top, -self._top))
        axes.set_axis_off()
        return axes


def _key_columns(key: Sequence[Line2D], width: float) -> int:
    """How many entries of a key stand beside one another."""
    entry = widest([str(line.get_label()) for line in key], KEY_SIZE) + (1.8 + 0.8 + 1.6) * KEY_SIZE / 72
    return max(1, min(len(key), int(width / entry)))


def language_keys(languages: Sequence[str]) -> list[Line2D]:
    """Entries of the key, in alphabetical order."""
    return [
        Line2D(
            [],
            [],
            color=colour_of(language, languages),
            marker=(marker := marker_of(language, languages)),
            markersize=marker_size(marker),
            label=calibration_label(language),
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
    key: Sequence[Line2D] = (),
) -> tuple[Figure, list[Axes]]:
    """A sheet with `n_panels` axes of `size` inches in rows of `columns`; `gap` is what labels need around each."""
    columns = min(columns, n_panels)
    rows = math.ceil(n_panels / columns)
    sheet = Sheet(columns * (size[0] + gap[0]) + 0.15, rows * (size[1] + gap[1]) + 0.1, title, caption, key)
    axes = []
    for index in range(n_panels):
        row, column = divmod(index, columns)
        axes.append(sheet.axes(gap[0] + column * (size[0] + gap[0]), 0.2 + row * (size[1] + gap[1]), *size))
    return sheet.figure, axes


def number_of_columns(n_panels: int, width: float) -> int:
    """Columns of a sheet of panels that need `width`: eight for 32 panels, no more than four for a few."""
    return max(1, min(8 if n_panels > 16 else 4, n_panels, int(LARGEST_WIDTH / width)))


def small_ticks(axes: Axes) -> None:
    """Short tick labels on both axes; a power of ten above the vertical one where numbers are large or small."""
    axes.tick_params(length=2, pad=1.5)
    axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    axes.yaxis.get_offset_text().set_fontsize(TICK_SIZE)


def label_languages(axes: Axes, languages: Sequence[str], width: float) -> None:
    """A tick a language at 0, 1, …; upright where the axes, `width` inches, have no room for them side by side."""
    labels = [language.upper() for language in languages]
    axes.set_xticks(range(len(labels)), labels, rotation=90 if _is_tight(languages, width) else 0)
    axes.set_xlim(-0.4, len(labels) - 0.6)


def room_for_languages(languages: Sequence[str], size: tuple[float, float]) -> tuple[tuple[float, float], float]:
    """Size of axes over languages, at least `size`, and what their labels need below beyond one line."""
    width = max(size[0], 0.125 * len(languages))
    tallest = widest([language.upper() for language in languages], TICK_SIZE)
    return (width, size[1]), tallest if _is_tight(languages, width) else 0.0


def _is_tight(languages: Sequence[str], width: float) -> bool:
    return widest([language.upper() for language in languages], TICK_SIZE) + 0.03 > width / max(1, len(languages))
