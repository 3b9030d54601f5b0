"""Tables as pictures, after the paper's table 1: sections of grids, whose cells have a shade, a number, and a frame.

Everything is placed in inches from the top left corner, so that cells and letters have one size in every table.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from polyprune.report.figures.drawing import GREY, INK, MARGIN, SHADES, SMALLEST_WIDTH, Sheet
from polyprune.report.figures.letters import LINE_SPACING, text_height, text_width, widest, wrapped

SIZE, HEADING_SIZE, NOTE_SIZE = 8.0, 9.5, 7.0
CELL_WIDTH, ROOMY_WIDTH, CELL_HEIGHT = 0.44, 0.9, 0.235
"""All cells of a picture are alike: as narrow as their texts allow, wider if only a few stand under a title."""
GRID_GAP, LINE_GAP, SECTION_GAP = 0.32, 0.16, 0.14
TITLE_LINE, NOTE_LINE, LABEL_LINE = 0.36, 0.33, 0.12
"""How far above the cells the middle of a grid's title, of its note, and of its column labels is."""
HEADER, NOTE = 0.5, 0.19
"""What stands above cells, and how much more that is with a note."""
KEY_WIDTH, KEY_HEIGHT = 1.6, 0.13
WIDEST = 15.0
"""Of a line of grids; further ones stand below."""
MOST_SECTIONS = 40
"""Of a picture: three metres of paper, which nobody scrolls; the table itself, its sheet and the page have all."""
PALE_INK, DARK_INK, PALE_BELOW = "#ffffff", "#000000", 0.179
"""Of letters on colours, white on those of less luminance: either way contrast is 4.58 or more, and WCAG asks for 4.5,
which letters in `INK` would miss where it changes."""
_PLAIN: dict[str, Any] = {"parse_math": False}
_RULE: dict[str, Any] = {"color": INK, "linewidth": 0.9, "zorder": 3}


@dataclass(frozen=True)
class Grid:
    """Cells under a title; `across` says what columns are."""

    title: str
    across: str
    columns: tuple[str, ...]
    texts: np.ndarray
    """str [row, column]; may be empty."""
    shades: Float64[np.ndarray, "n_rows n_columns"]
    """Place in `SHADES`; NaN where a cell has none."""
    frames: Bool[np.ndarray, "n_rows n_columns"]
    note: str = ""
    """A line below the title."""
    keys: tuple[str, ...] = ()
    """What the columns are, as results spell it."""
    larger_is_better: bool | None = None
    """None where neither is."""
    numbers: Mapping[str, Float64[np.ndarray, "n_rows n_columns"]] = field(default_factory=dict)
    """What stands behind the texts, by name (`report/tables/sheet.py`); the picture does not show it."""

    def part(self, start: int, stop: int) -> Grid:
        """Some of the columns; those that do not begin the grid say so."""
        chosen = slice(start, stop)
        return replace(
            self,
            title=f"{self.title}, continued" if start else self.title,
            columns=self.columns[chosen],
            keys=self.keys[chosen],
            texts=self.texts[:, chosen],
            shades=self.shades[:, chosen],
            frames=self.frames[:, chosen],
            note="" if start else self.note,
            numbers={name: values[:, chosen] for name, values in self.numbers.items()},
        )


@dataclass(frozen=True)
class Section:
    """Grids of the same rows under a heading; `down` says what rows are, `rule` above which of them a line is drawn."""

    heading: str
    down: str
    rows: tuple[str, ...]
    grids: tuple[Grid, ...]
    rule: int | None = None
    keys: tuple[str, ...] = ()
    """What the rows are, as results spell it."""
    block: tuple[str, str, str] | None = None
    """Model, method and scheme, where it is of one."""


@dataclass(frozen=True)
class Picture:
    """Sections below one another, then the key: `ends` name both ends of the scale of shades, `colours`.

    Without ends there is no key: nothing has a shade.
    """

    sections: tuple[Section, ...]
    title: str
    ends: tuple[str, str] | None
    caption: str
    colours: Colormap = field(default_factory=lambda: SHADES)


def draw_picture(picture: Picture) -> Figure:
    """The picture of a table; of very many sections of the first, which the caption says."""
    sections, colours = picture.sections[:MOST_SECTIONS], picture.colours
    left_out = len(picture.sections) - len(sections)
    caption = f"{picture.caption} Drawn are the first {len(sections)} of {len(picture.sections)} blocks."
    cell = _cell_width(sections)
    lines = [_lines_of(section, cell) for section in sections]
    axis = max(_down_width(section) for section in sections)
    left = MARGIN + axis + widest((row for section in sections for row in section.rows), SIZE) + 0.16
    width = left + max(_line_width(line, cell) for of_section in lines for line in of_section) + MARGIN
    longest = widest((section.heading for section in sections), HEADING_SIZE, bold=True)
    width = max(width, min(longest + 2 * MARGIN, WIDEST / 2), SMALLEST_WIDTH)
    headings = [wrapped(section.heading, width - 2 * MARGIN, HEADING_SIZE, bold=True) for section in sections]
    tall = [
        text_height(heading, HEADING_SIZE)
        + len(of_section) * (_header(section) + _height(section) + LINE_GAP)
        + SECTION_GAP
        for heading, section, of_section in zip(headings, sections, lines, strict=True)
    ]
    key = KEY_HEIGHT + 0.25 if picture.ends else 0.0
    sheet = Sheet(width, sum(tall) + key, picture.title, caption if left_out else picture.caption)
    axes, top = sheet.canvas(), 0.1
    for heading, section, of_section, height in zip(headings, sections, lines, tall, strict=True):
        axes.text(MARGIN, top, heading, size=HEADING_SIZE, weight="bold", va="top", linespacing=LINE_SPACING, **_PLAIN)
        _draw_section(axes, section, of_section, cell, left, top + text_height(heading, HEADING_SIZE), colours)
        top += height
    if picture.ends:
        _draw_key(axes, picture.ends, MARGIN, top, colours)
    return sheet.figure


def _cell_width(sections: Sequence[Section]) -> float:
    """What the widest text needs; more where a few columns stand under a long title."""
    grids = [grid for section in sections for grid in section.grids]
    texts = [text for grid in grids for text in (*grid.columns, *grid.texts.ravel())]
    under_titles = max(_above(grid) / len(grid.columns) for grid in grids)
    return max(CELL_WIDTH, widest(texts, SIZE) + 0.12, min(under_titles, ROOMY_WIDTH))


def _header(section: Section) -> float:
    return HEADER + (NOTE if any(grid.note for grid in section.grids) else 0.0)


def _above(grid: Grid) -> float:
    """Width of the lines above the column labels."""
    line = text_width(grid.title, SIZE, bold=True) + 0.2 + text_width(grid.across, SIZE)
    return max(line, text_width(grid.note, NOTE_SIZE))


def _lines_of(section: Section, cell: float) -> list[list[Grid]]:
    """The grids of a section in lines of at most `WIDEST`; a grid that is wider is cut into equal parts."""
    most = int(WIDEST / cell)
    parts: list[Grid] = []
    for grid in section.grids:
        n = len(grid.columns)
        each = math.ceil(n / math.ceil(n / most))
        parts += [grid.part(start, min(start + each, n)) for start in range(0, n, each)]
    lines: list[list[Grid]] = []
    for grid in parts:
        if lines and _line_width([*lines[-1], grid], cell) <= WIDEST:
            lines[-1].append(grid)
        else:
            lines.append([grid])
    return lines


def _grid_width(grid: Grid, cell: float) -> float:
    """Room for the cells and, in narrow grids, for the line above them."""
    return max(len(grid.columns) * cell, _above(grid))


def _line_width(line: Sequence[Grid], cell: float) -> float:
    return sum(_grid_width(grid, cell) for grid in line) + GRID_GAP * (len(line) - 1)


def _down(section: Section) -> str:
    """The name of the rows in lines as long as the rows are high, if its words allow it."""
    return wrapped(section.down, len(section.rows) * CELL_HEIGHT, SIZE)


def _down_width(section: Section) -> float:
    """It is written upwards."""
    return text_height(_down(section), SIZE) + 0.05


def _height(section: Section) -> float:
    """Of the cells, or of the name of the rows if there are few."""
    return max(len(section.rows) * CELL_HEIGHT, widest(_down(section).split("\n"), SIZE))


def _draw_section(
    axes: Axes,
    section: Section,
    lines: Sequence[list[Grid]],
    cell: float,
    left: float,
    top: float,
    colours: Colormap,
) -> None:
    """Row labels and grids, line by line; `left` is where cells begin, `top` where the heading has ended."""
    for line in lines:
        first = top + _header(section)
        middle = first + _height(section) / 2
        axes.text(MARGIN, middle, _down(section), rotation=90, ha="left", va="center", color=GREY, size=SIZE)
        for row, label in enumerate(section.rows):
            axes.text(left - 0.08, first + (row + 0.5) * CELL_HEIGHT, label, ha="right", va="center", size=SIZE)
        x = left
        for grid in line:
            _draw_grid(axes, grid, cell, x, first, _header(section) - HEADER, colours)
            if section.rule is not None:
                y = first + section.rule * CELL_HEIGHT
                axes.plot([x, x + len(grid.columns) * cell], [y, y], **_RULE)
            x += _grid_width(grid, cell) + GRID_GAP
        top = first + _height(section) + LINE_GAP


def _draw_grid(axes: Axes, grid: Grid, cell: float, left: float, top: float, note: float, colours: Colormap) -> None:
    """Title, note, column labels and cells; `top` is where the cells begin, `note` what notes need above them."""
    n_rows, n_columns = grid.shades.shape
    edges_x, edges_y = left + cell * np.arange(n_columns + 1), top + CELL_HEIGHT * np.arange(n_rows + 1)
    draw_shades(axes, edges_x, edges_y, grid.shades, colours, edgecolors="white", linewidth=0.8)
    axes.text(left, top - note - TITLE_LINE, grid.title, weight="bold", va="center", size=SIZE, **_PLAIN)
    right = left + _grid_width(grid, cell)
    axes.text(right, top - note - TITLE_LINE, grid.across, ha="right", va="center", color=GREY, size=SIZE)
    axes.text(left, top - NOTE_LINE, grid.note, va="center", color=GREY, size=NOTE_SIZE, **_PLAIN)
    for column, label in enumerate(grid.columns):
        axes.text(left + (column + 0.5) * cell, top - LABEL_LINE, label, ha="center", va="center", size=SIZE)
    for (row, column), text in np.ndenumerate(grid.texts):
        x, y = float(edges_x[column]), float(edges_y[row])
        ink = ink_on(colours, float(grid.shades[row, column]))
        axes.text(x + cell / 2, y + CELL_HEIGHT / 2, text, ha="center", va="center", color=ink, size=SIZE)
        if grid.frames[row, column]:
            frame = (x + 0.02, y + 0.02), cell - 0.04, CELL_HEIGHT - 0.04
            axes.add_patch(Rectangle(*frame, fill=False, edgecolor=INK, linewidth=1.2, zorder=4))


def ink_on(colours: Colormap, shade: float) -> str:
    """The colour of letters on a shade; NaN is none."""
    if math.isnan(shade):
        return INK
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colours(shade)[:3]]
    luminance = sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return PALE_INK if luminance < PALE_BELOW else DARK_INK


def draw_shades(
    axes: Axes, edges_x: np.ndarray, edges_y: np.ndarray, shades: np.ndarray, colours: Colormap = SHADES, **how: Any
) -> None:
    """Cells in the colours of a scale; none where the shade is NaN."""
    axes.pcolormesh(edges_x, edges_y, np.ma.masked_invalid(shades), cmap=colours, vmin=0, vmax=1, **how)


def _draw_key(axes: Axes, ends: tuple[str, str], left: float, top: float, colours: Colormap) -> None:
    """The scale of shades with its ends named."""
    x = left + text_width(ends[0], SIZE) + 0.06
    middle = top + KEY_HEIGHT / 2
    axes.text(left, middle, ends[0], va="center", color=GREY, size=SIZE)
    edges = np.linspace(x, x + KEY_WIDTH, 65), np.array([top, top + KEY_HEIGHT])
    draw_shades(axes, *edges, np.linspace(0, 1, 64)[None], colours)
    axes.text(x + KEY_WIDTH + 0.06, middle, ends[1], va="center", color=GREY, size=SIZE)
