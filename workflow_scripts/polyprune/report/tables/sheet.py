"""A table's picture as plain values: the content of `artifacts/sheets.py`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from polyprune.report.tables.picture import Grid, Picture, Section


def sheet_of(picture: Picture) -> dict[str, Any]:
    """Title, caption, ends and sections; equal pictures, equal values."""
    return {
        "title": picture.title,
        "caption": picture.caption,
        "ends": list(picture.ends or ()),
        "sections": [_section(section) for section in picture.sections],
    }


def _section(section: Section) -> dict[str, Any]:
    return {
        "heading": section.heading,
        "down": section.down,
        "rows": list(section.rows),
        "keys": list(section.keys),
        "block": list(section.block) if section.block else None,
        "rule": section.rule,
        "grids": [_grid(grid) for grid in section.grids],
    }


def _grid(grid: Grid) -> dict[str, Any]:
    return {
        "title": grid.title,
        "across": grid.across,
        "note": grid.note,
        "columns": list(grid.columns),
        "keys": list(grid.keys),
        "larger_is_better": grid.larger_is_better,
        "texts": _listed(grid.texts, str),
        "shades": _listed(grid.shades, _number),
        "frames": _listed(grid.frames, bool),
        "numbers": {name: _listed(values, _number) for name, values in grid.numbers.items()},
    }


def _listed(values: np.ndarray, plain: Callable[[Any], Any]) -> list[list[Any]]:
    return [[plain(value) for value in row] for row in values]


def _number(value: float) -> float | str | None:
    """None for what is not known; JSON has no infinity."""
    if math.isnan(value):
        return None
    return float(value) if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")
