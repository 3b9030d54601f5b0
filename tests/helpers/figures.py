"""Figures of made-up measurements, and how a reader finds their panels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

from polyprune.settings.studies import FigureSettings

LONG_NAMES = "Model with a name, 70B Instruct, SparseGPT 50 %, first and last layer dense"


def settings(draws: str, title: str = "Title", **values: Any) -> FigureSettings:
    return FigureSettings.model_validate({"title": title, "draws": draws, **values})


def picture(module: Any, rows_of: pd.DataFrame, figure: FigureSettings) -> Picture:
    """As a module of `report/figures/` draws measurements."""
    return module.draw(module.rows(rows_of, figure), figure, LONG_NAMES)


def titles_of(figure: Picture) -> dict[str, Axes]:
    """Panels by their titles."""
    return {axes.get_title(): axes for axes in figure.axes}


def tick_of(axes: Axes, label: str) -> float:
    """Where the mark of a label on the horizontal axis stands."""
    labels = [text.get_text() for text in axes.get_xticklabels()]
    return float(axes.get_xticks()[labels.index(label)])


def lines_by_colour(axes: Axes) -> dict[str, tuple[list[float], list[float]]]:
    """Of each colour the longest curve: its horizontal and vertical values."""
    found: dict[str, tuple[list[float], list[float]]] = {}
    for line in axes.lines:
        x, y = (list(np.asarray(values, dtype=float)) for values in line.get_data())
        colour = str(line.get_color())
        if len(x) > len(found.get(colour, ([], []))[0]):
            found[colour] = x, y
    return found
