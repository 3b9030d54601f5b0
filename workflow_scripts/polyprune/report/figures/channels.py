"""Mean activations of channels, dense and pruned: figures 11 to 13."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from polyprune.artifacts.measurements import MEAN_ACTIVATIONS
from polyprune.report.figures.drawing import DENSE_COLOUR, GREY, Sheet, colour_of
from polyprune.report.names import calibration_label
from polyprune.settings.studies import FigureSettings

LAYOUT = MEAN_ACTIVATIONS


def rows(measured: pd.DataFrame, figure: FigureSettings) -> pd.DataFrame:
    """One matrix of one layer, channels by ascending mean in the dense model: `rank` from 0."""
    shown = measured[(measured["layer"] == figure.layers[0]) & (measured["matrix"] == figure.matrix)]
    shown = shown.sort_values(["dense", "channel"], kind="stable").reset_index(drop=True)
    return shown.assign(rank=np.arange(len(shown)))


def draw(rows: pd.DataFrame, figure: FigureSettings, names: str) -> Figure:
    """Dense as a line over sorted channels, pruned as points around it."""
    rank, dense, pruned = (rows[name].to_numpy(dtype=float) for name in ("rank", "dense", "pruned"))
    colour = colour_of(str(rows["calibration"].iloc[0]))
    line = Line2D(rank, dense, color=DENSE_COLOUR, linewidth=1.8, label="dense", zorder=2)
    points = Line2D(rank, pruned, color=colour, marker=".", linestyle="", label="pruned", zorder=3)
    points.set_markersize(3.0 if len(rows) < 500 else 1.2)
    sheet = Sheet(6.2, 2.6, figure.title, _caption(rows, figure, names), [line, points])
    axes = sheet.axes(0.7, 0.1, 5.3, 2.0)
    axes.axhline(0, color=GREY, linewidth=0.5)
    axes.add_line(line)
    axes.add_line(points)
    axes.autoscale_view()
    axes.set(xlabel="channel, by mean activation in the dense model", ylabel="mean activation", xlim=(-1, len(rows)))
    return sheet.figure


def _caption(rows: pd.DataFrame, figure: FigureSettings, names: str) -> str:
    language = calibration_label(str(rows["calibration"].iloc[0]))
    where = {"down_proj": "MLP down projection", "o_proj": "attention output projection"}[str(figure.matrix)]
    difference = (rows["pruned"] - rows["dense"]).abs().mean() / rows["dense"].abs().mean()
    return (
        f"{names}, calibrated and evaluated on {language}. Output of the {where} of decoder layer {figure.layers[0]}, "
        f"counted from 1: mean over {int(rows['n'].max()):,} tokens of each of {len(rows):,} channels, channels by "
        f"their mean in the dense model. Mean |pruned − dense| is {100 * difference:.1f} % of mean |dense|."
    )
