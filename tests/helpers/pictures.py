"""Pictures as a reader sees them: texts with the room they take, panels of shaded cells, the key of shades."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from unittest import mock

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from polyprune.report.figures.drawing import styled

LANGUAGES = ["ar", "de", "en", "es", "ru", "sw", "zh", "am", "bn", "fa", "fil", "fr", "hi", "id", "ja", "ko", "pt"]
LANGUAGES += ["ta", "tr", "yue"]
"""Seven that have colours of their own, then others."""
LONG_TITLE = (
    "Downstream tasks of a model with a rather long name at 50 % unstructured sparsity, all calibration languages and "
    "their mixes, for comparison with the other table"
)


@dataclass(frozen=True)
class Drawn:
    """A text and its box in inches from the sheet's bottom left corner."""

    text: str
    left: float
    bottom: float
    right: float
    top: float
    bold: bool = False

    @property
    def middle(self) -> tuple[float, float]:
        return (self.left + self.right) / 2, (self.bottom + self.top) / 2

    def overlaps(self, other: Drawn) -> bool:
        return (
            self.left < other.right and other.left < self.right and self.bottom < other.top and other.bottom < self.top
        )


def drawn(draw: Callable[[], Figure]) -> tuple[Figure, list[Drawn]]:
    """A picture and all texts that appear in it when it is rendered."""
    seen: list[Text] = []

    def record(self: Text, *_: object, **__: object) -> None:
        seen.append(self)

    with styled():
        figure = draw()
        canvas = FigureCanvasAgg(figure)
        with mock.patch.object(Text, "draw", record):
            canvas.draw()
        boxes = [text.get_window_extent(canvas.get_renderer()) for text in seen]
    dpi = figure.dpi
    return figure, [
        Drawn(text.get_text(), box.x0 / dpi, box.y0 / dpi, box.x1 / dpi, box.y1 / dpi, text.get_fontweight() == "bold")
        for text, box in zip(seen, boxes, strict=True)
        if text.get_visible() and text.get_text().strip()
    ]


def assert_readable(draw: Callable[[], Figure]) -> None:
    """No text lies on another, none leaves the sheet."""
    figure, texts = drawn(draw)
    width, height = figure.get_size_inches()
    assert texts
    outside = [
        text.text for text in texts if text.left < 0 or text.bottom < 0 or text.right > width or text.top > height
    ]
    assert not outside, f"outside the sheet: {outside[:5]}"
    lefts, bottoms, rights, tops = (
        np.array([getattr(text, side) for text in texts]) for side in ("left", "bottom", "right", "top")
    )
    meets = (
        (lefts[:, None] < rights) & (lefts < rights[:, None]) & (bottoms[:, None] < tops) & (bottoms < tops[:, None])
    )
    pairs = [(texts[a].text, texts[b].text) for a, b in np.argwhere(np.triu(meets, 1))]
    assert not pairs, f"texts lie on one another: {pairs[:5]}"


def lightness(colour: tuple[float, ...]) -> float:
    """Relative luminance (WCAG): 0 for black, 1 for white."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@dataclass(frozen=True)
class Cell:
    """What stands in a cell, and how it is marked; `colour` is None without a shade."""

    row: str
    column: str
    text: str
    colour: tuple[float, ...] | None
    framed: bool


@dataclass
class Panel:
    """Cells under a title, by the labels that stand beside and above them."""

    title: str
    cells: list[Cell] = field(default_factory=list)

    def column(self, label: str) -> list[Cell]:
        return [cell for cell in self.cells if cell.column == label]

    @property
    def columns(self) -> list[str]:
        return list(dict.fromkeys(cell.column for cell in self.cells))


@dataclass(frozen=True)
class Key:
    """The two ends of the scale of shades: what is written beside them, and their colours."""

    first: str
    last: str
    colours: list[tuple[float, ...]]


def read_table(draw: Callable[[], Figure]) -> tuple[list[Panel], Key, list[Drawn]]:
    """The panels of a picture of a table, its key, all its texts."""
    figure, texts = drawn(draw)
    (axes,) = figure.axes
    meshes = [artist for artist in axes.collections if isinstance(artist, QuadMesh)]
    width, height = figure.get_size_inches()
    low_y, high_y = axes.get_ylim()
    frames = [
        _to_inches(patch.get_xy(), patch.get_width(), patch.get_height(), low_y)
        for patch in axes.patches
        if isinstance(patch, Rectangle)
    ]
    assert abs(low_y - high_y) == height and axes.get_xlim() == (0, width)
    *panels, key = meshes
    left = min(float(np.asarray(mesh.get_coordinates())[0, 0, 0]) for mesh in panels)
    labels = [text for text in texts if text.right < left]
    return [_read_panel(mesh, texts, labels, frames, low_y) for mesh in panels], _read_key(key, texts, low_y), texts


Box = tuple[float, float, float, float]


def _to_inches(corner: tuple[float, float], width: float, height: float, low_y: float) -> Box:
    """Left, bottom, right, top in inches from the sheet's bottom; data go downwards from some point."""
    x, y = corner
    return x, low_y - y - height, x + width, low_y - y


def _edges(mesh: QuadMesh, low_y: float) -> tuple[np.ndarray, np.ndarray, list[list[tuple[float, ...]]]]:
    """Edges of columns from the left and of rows from the top, in inches, and the colours of the cells."""
    corners = np.asarray(mesh.get_coordinates())
    mesh.update_scalarmappable()
    n_rows, n_columns = corners.shape[0] - 1, corners.shape[1] - 1
    colours = [tuple(map(float, colour)) for colour in np.asarray(mesh.get_facecolor())]
    rows = [colours[row * n_columns : (row + 1) * n_columns] for row in range(n_rows)]
    return corners[0, :, 0], low_y - corners[:, 0, 1], rows


def _read_panel(mesh: QuadMesh, texts: list[Drawn], labels: list[Drawn], frames: list[Box], low_y: float) -> Panel:
    x, y, colours = _edges(mesh, low_y)
    above = [text for text in texts if y[0] < text.middle[1] < y[0] + 0.2 and x[0] < text.middle[0] < x[-1]]
    beside = [text for text in labels if y[-1] < text.middle[1] < y[0]]
    over = (text for text in texts if text.bold and text.bottom > max(a.top for a in above))
    title = min((text for text in over if abs(text.left - x[0]) < 0.03), key=lambda text: text.bottom)
    panel = Panel(title.text)
    for row in range(len(y) - 1):
        middle = (y[row] + y[row + 1]) / 2
        row_label = max((t for t in beside if abs(t.middle[1] - middle) < 0.04), key=lambda t: t.right)
        for column in range(len(x) - 1):
            centre = (x[column] + x[column + 1]) / 2
            (column_label,) = [text for text in above if abs(text.middle[0] - centre) < 0.01]
            inside = [t for t in texts if x[column] < t.middle[0] < x[column + 1] and y[row + 1] < t.middle[1] < y[row]]
            assert len(inside) <= 1
            box = x[column], y[row + 1], x[column + 1], y[row]
            framed = any(_is_inside(frame, box) for frame in frames)
            colour = colours[row][column]
            shade = None if colour[3] == 0 else colour
            text = inside[0].text if inside else ""
            panel.cells.append(Cell(row_label.text, column_label.text, text, shade, framed))
    return panel


def _is_inside(frame: Box, box: Box) -> bool:
    return frame[0] >= box[0] and frame[1] >= box[1] and frame[2] <= box[2] and frame[3] <= box[3]


def _read_key(mesh: QuadMesh, texts: list[Drawn], low_y: float) -> Key:
    x, y, (colours,) = _edges(mesh, low_y)
    beside = [text for text in texts if abs(text.middle[1] - (y[0] + y[1]) / 2) < 0.05]
    (first,) = [text.text for text in beside if text.right < x[0]]
    (last,) = [text.text for text in beside if text.left > x[-1]]
    return Key(first, last, colours)


def same_colour(a: tuple[float, ...] | None, b: tuple[float, ...] | None) -> bool:
    """Whether an eye would take them for one."""
    return a is not None and b is not None and bool(np.allclose(a, b, atol=0.02))
