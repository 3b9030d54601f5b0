"""TODO."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from polyprune.report.figures.drawing import (
    DENSE_COLOUR,
    GREY,
    caption_height,
    colour_of,
    head_height,
    heading,
)
from polyprune.settings.studies import Figure as FigureSettings


def mean_activation_rows(measured: pd.DataFrame, figure: FigureSettings) -> pd.DataFrame:
    """One matrix of one layer, channels by ascending mean in the dense model: `rank` from 0."""
    shown = measured[(measured["layer"] == figure.layers[0]) & (measured["matrix"] == figure.matrix)]
    shown = shown.sort_values(["dense", "channel"], kind="stable").reset_index(drop=True)
    return shown.assign(rank=np.arange(len(shown)))


def draw_mean_activations(rows: pd.DataFrame, figure: FigureSettings, names: str) -> Figure:
    """Dense as a line over sorted channels, pruned as points around it."""
    calibration = str(rows["calibration"].iloc[0])
    language = calibration.upper()
    where = {"down_proj": "MLP down projection", "o_proj": "attention output projection"}[str(figure.matrix)]
    difference = (rows["pruned"] - rows["dense"]).abs().mean() / rows["dense"].abs().mean()
    caption = (
        f"{names}, calibrated and evaluated on {language}. Output of the {where} of decoder layer {figure.layers[0]}, "
        "counted "
        f"from 1: mean over {int(rows['n'].max()):,} tokens of each of {len(rows):,} channels, channels by their mean "
        "in the "
        f"dense model. Mean |pruned − dense| is {100 * difference:.1f} % of mean |dense|."
    )
    width = 6.2
    head, bottom = head_height(figure.title, width, True), caption_height(caption, width)
    height = head + 2.6 + bottom
    sheet = Figure(figsize=(width, height))
    axes = sheet.add_axes((0.7 / width, (bottom + 0.5) / height, (width - 0.9) / width, 2.0 / height))
    rank = rows["rank"].to_numpy(dtype=float)
    size = 3.0 if len(rows) < 500 else 1.2
    axes.axhline(0, color=GREY, linewidth=0.5)
    (pruned,) = axes.plot(
        rank,
        rows["pruned"].to_numpy(dtype=float),
        ".",
        color=colour_of(calibration),
        markersize=size,
        label="pruned",
        zorder=3,
    )
    (dense,) = axes.plot(
        rank, rows["dense"].to_numpy(dtype=float), color=DENSE_COLOUR, linewidth=1.8, label="dense", zorder=2
    )
    axes.set(xlabel="channel, by mean activation in the dense model", ylabel="mean activation", xlim=(-1, len(rows)))
    heading(sheet, figure.title, caption, [dense, pruned])
    return sheet
