"""Overlap of masks, layer by layer: figure 2."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from polyprune.artifacts.measurements import MASK_IOU
from polyprune.report.figures.drawing import GREY, LEAST_OVERLAP, SHADES, Sheet, overlap_limits
from polyprune.report.names import calibration_label, pair_label, removed_by
from polyprune.settings.studies import FigureSettings

LAYOUT = MASK_IOU

FIGURE_ORDER = ("q", "k", "v", "attn.out", "ffn.gate", "ffn.up", "ffn.down")
"""The figure's; the paper's tables have another."""
LABELS = {"seeds": calibration_label, "stable": pair_label}
"""What is compared on the left and on the right, and how it is called."""
LIGHTER_IS_MORE = SHADES.reversed()
_ROW, _TITLE, _NAMES, _SCALE = 0.16, 0.3, 0.62, 0.7
"""Height of a matrix and of a panel's title, width of matrices' names and of a scale, in inches."""


def rows(measured: pd.DataFrame, figure: FigureSettings) -> pd.DataFrame:
    """IOU-1, the left column, and IOU-2, the right one, by layer and matrix."""
    del figure  # one figure of masks is like another
    shown = measured[measured["comparison"].isin(list(LABELS))].copy()
    shown["rank"] = shown["matrix"].map(
        lambda name: FIGURE_ORDER.index(name) if name in FIGURE_ORDER else len(FIGURE_ORDER)
    )
    keys = ["model", "method", "scheme", "comparison", "calibration", "rank", "layer"]
    return shown.sort_values(keys, kind="stable").drop(columns=["rank", "seed"]).reset_index(drop=True)


def draw(rows: pd.DataFrame, figure: FigureSettings, names: str) -> Figure:
    """Panels of matrices over layers: a language's seeds on the left, two languages on the right."""
    matrices, layers = list(dict.fromkeys(rows["matrix"])), sorted(set(rows["layer"]))
    sides = [rows[rows["comparison"] == comparison] for comparison in LABELS]
    sides = [side for side in sides if len(side)]
    n_rows = max(3, sides[0]["calibration"].nunique())
    columns = [math.ceil(side["calibration"].nunique() / n_rows) for side in sides]
    n_rows = max(math.ceil(side["calibration"].nunique() / n) for side, n in zip(sides, columns, strict=True))
    wide = _panel_width(len(layers), sum(columns))
    tall = _ROW * len(matrices)
    body = n_rows * (tall + _TITLE) + 0.4
    width = 0.15 + sum(_NAMES + n * (wide + 0.15) + _SCALE for n in columns)
    sheet = Sheet(width, body, figure.title, _caption(rows, names))
    left = 0.15 + _NAMES
    for side, n in zip(sides, columns, strict=True):
        limits = overlap_limits(side["value"])
        mesh = None
        for index, calibration in enumerate(dict.fromkeys(side["calibration"])):
            row, column = index % n_rows, index // n_rows
            axes = sheet.axes(left + column * (wide + 0.15), _TITLE + row * (tall + _TITLE), wide, tall)
            grid = side[side["calibration"] == calibration].pivot(index="matrix", columns="layer", values="value")
            mesh = _draw_panel(axes, grid.reindex(index=matrices, columns=layers), wide, limits)
            axes.set_title(LABELS[side["comparison"].iloc[0]](calibration), pad=3)
            is_last = row == n_rows - 1 or index == side["calibration"].nunique() - 1
            _label_axes(axes, matrices if column == 0 else [], is_last)
        left += n * (wide + 0.15)
        if mesh is not None:
            scale = sheet.axes(left, _TITLE + 0.1, 0.13, min(body - _TITLE - 0.5, 2.0))
            sheet.figure.colorbar(mesh, cax=scale)
            scale.set_title("IoU", pad=4)
            scale.tick_params(colors=GREY)
        left += _SCALE + _NAMES
    return sheet.figure


def _panel_width(n_layers: int, n_columns: int) -> float:
    """A few layers in wide cells; a panel of many becomes narrower on a sheet of many columns."""
    most = 3.6 if n_columns <= 2 else 1.7
    return max(1.3, min(0.42 * n_layers, most))


def _draw_panel(axes: Axes, grid: pd.DataFrame, width: float, limits: tuple[float, float]) -> QuadMesh:
    """Matrices from top to bottom, layers from left to right; shades between the `limits` of all panels beside it."""
    mesh = axes.pcolormesh(grid.to_numpy(dtype=float), cmap=LIGHTER_IS_MORE, vmin=limits[0], vmax=limits[1])
    n_layers = len(grid.columns)
    step = next(step for step in (1, 2, 5, 10, 20, 50) if step * width / n_layers > 0.18)
    places = list(range(0, n_layers, step))
    axes.set_xticks([place + 0.5 for place in places], [str(grid.columns[place]) for place in places])
    axes.set_ylim(len(grid), 0)
    axes.tick_params(length=2, pad=1.5)
    return mesh


def _label_axes(axes: Axes, matrices: list[str], is_last: bool) -> None:
    """Names of matrices where a column of panels begins, layers below the last panel of each."""
    axes.set_yticks(np.arange(len(matrices)) + 0.5, matrices)
    if is_last:
        axes.set_xlabel("decoder layer (from 0)", labelpad=1)
    else:
        axes.set_xticklabels([])


def _caption(rows: pd.DataFrame, names: str) -> str:
    chance = {comparison: f"{shown['chance'].mean():.3f}" for comparison, shown in rows.groupby("comparison")}
    counts = "/".join(map(str, sorted(set(rows["n_seeds"]))))
    removed = removed_by(rows["matrix"].unique())
    said = [
        f"{names}. Intersection over union of the sets of {removed} of {counts} seeds; the lighter, the more similar, "
        f"on a scale at least {LEAST_OVERLAP:g} wide.",
        f"Left: masks of all seeds of one calibration language (by chance {chance['seeds']}).",
    ]
    if "stable" in chance:
        said.append(
            "Right, A & B: what all seeds of A remove against what all seeds of B remove (by chance "
            f"{chance['stable']}). The two sides cannot be compared with each other: each has a scale of its own."
        )
    return " ".join(said)
