"""TODO."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from polyprune.report.figures.drawing import GREY, caption_height, head_height, heading
from polyprune.report.tables.mask_iou import (
    _MAP,
    _label,
)

FIGURE_ORDER = ("q", "k", "v", "attn.out", "ffn.gate", "ffn.up", "ffn.down")
"""The paper's orders, which differ."""


def figure_rows(measured: pd.DataFrame) -> pd.DataFrame:
    """What figure 2 shows: IOU-1 in its left column, IOU-2 in its right one, by layer and matrix."""
    shown = measured[measured["comparison"].isin(["seeds", "stable"])].copy()
    shown["rank"] = shown["matrix"].map(
        lambda name: FIGURE_ORDER.index(name) if name in FIGURE_ORDER else len(FIGURE_ORDER)
    )
    keys = ["model", "method", "scheme", "comparison", "calibration", "rank", "layer"]
    return shown.sort_values(keys, kind="stable").drop(columns=["rank", "seed"]).reset_index(drop=True)


def draw_mask_iou(rows: pd.DataFrame, title: str, names: str) -> Figure:
    """Heatmaps by layer and matrix: a language's seeds on the left, two languages on the right."""
    left = [("seeds", each) for each in dict.fromkeys(rows.loc[rows["comparison"] == "seeds", "calibration"])]
    right = [("stable", each) for each in dict.fromkeys(rows.loc[rows["comparison"] == "stable", "calibration"])]
    matrices, layers = list(dict.fromkeys(rows["matrix"])), sorted(set(rows["layer"]))
    caption = (
        f"{names}. Intersection over union of the sets of pruned weights; lighter is more similar. Left: masks of all "
        "seeds "
        "of one calibration language. Right: what the seeds of two languages agree on. The two columns cannot be "
        "compared "
        f"with each other: by chance the left would be {_mean_chance(rows, 'seeds'):.3f}, "
        f"the right {_mean_chance(rows, 'stable'):.3f}."
    )
    n_rows = max(len(left), len(right))
    cell = min(0.3, 3.6 / len(layers)) if len(layers) > 8 else 0.42
    wide, tall = cell * len(layers), 0.16 * len(matrices)
    width = max(2 * wide + 2 * 0.85 + 0.9, 6.6)
    bottom = caption_height(caption, width) + 0.1
    head = head_height(title, width, False)
    height = head + n_rows * (tall + 0.55) + bottom
    figure = Figure(figsize=(width, height))
    low, high = rows["value"].min(), rows["value"].max()
    mesh = None
    for column, panels in enumerate((left, right)):
        for row, (comparison, calibration) in enumerate(panels):
            x = 0.8 + column * (wide + 0.85)
            y = height - head - row * (tall + 0.55) - 0.2 - tall
            axes = figure.add_axes((x / width, y / height, wide / width, tall / height))
            of_panel = rows[(rows["comparison"] == comparison) & (rows["calibration"] == calibration)]
            grid = of_panel.pivot(index="matrix", columns="layer", values="value").reindex(
                index=matrices, columns=layers
            )
            mesh = axes.pcolormesh(grid.to_numpy(dtype=float), cmap=_MAP, vmin=low, vmax=high, rasterized=False)
            axes.set(ylim=(len(matrices), 0), title=_label(calibration))
            axes.set_yticks(np.arange(len(matrices)) + 0.5, matrices)
            step = 5 if len(layers) > 8 else 1
            axes.set_xticks(
                [index + 0.5 for index in range(0, len(layers), step)], [str(layer) for layer in layers[::step]]
            )
            axes.tick_params(length=2)
            axes.set_xlabel("decoder layer (from 0)", labelpad=1)
    if mesh is not None:
        scale = figure.add_axes(
            ((width - 0.75) / width, (bottom + 0.35) / height, 0.14 / width, (height - bottom - 1.1) / height)
        )
        figure.colorbar(mesh, cax=scale)
        scale.set_title("IoU", pad=4)
        scale.tick_params(colors=GREY)
    heading(figure, title, caption)
    return figure


def _mean_chance(rows: pd.DataFrame, comparison: str) -> float:
    return float(rows.loc[rows["comparison"] == comparison, "chance"].mean())
