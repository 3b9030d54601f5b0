"""Overlap of masks: tables 16 and 17 (mean over layers) and figure 2 (layer by layer)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from polyprune.report.figures.drawing import INK, caption_height, head_height, heading, save_png
from polyprune.report.names import method_title
from polyprune.report.numbers import format_printed
from polyprune.report.tables.heatmap import PALE_FROM, SHADES
from polyprune.report.tables.markdown import pipe_table

TABLE_ORDER = ("q", "k", "v", "attn.out", "ffn.up", "ffn.gate", "ffn.down")
_GROUP = ["model", "method", "scheme", "calibration"]
CHANCE = "chance"
_MAP = SHADES.reversed()
"""Lighter is more similar."""


def load_paper_iou(files: Sequence[Path]) -> pd.DataFrame:
    """The printed means: `_GROUP`, metric, paper_value; pairs of languages in alphabetical order."""
    columns = [*_GROUP, "metric", "paper_value"]
    if not files:
        return pd.DataFrame(columns=columns).astype({"paper_value": "float64"})
    printed = pd.concat([pd.read_csv(file, dtype=dict.fromkeys([*_GROUP, "metric"], "str")) for file in files])
    printed["calibration"] = printed["calibration"].map(lambda name: "-".join(sorted(str(name).split("-"))))
    return printed.rename(columns={"mean": "paper_value"})[columns]


def table_rows(measured: pd.DataFrame, compares: str, paper: pd.DataFrame) -> pd.DataFrame:
    """Unweighted means over layers by calibration (or pair) and matrix: the paper's `iou:…` and, IOU-3, `pair_iou:…`.

    `compares` is seeds (table 16) or languages (table 17).
    """
    wanted = {"seeds": ("seeds", False), "languages": ("stable", True)}[compares]
    pairs = measured["calibration"].str.contains("-")
    rows = []
    for comparison, metric in ((wanted[0], "iou"), ("pairs", "pair_iou")):
        shown = measured[(measured["comparison"] == comparison) & (pairs == wanted[1])]
        means = shown.groupby([*_GROUP, "matrix"], as_index=False, sort=False).agg(
            value=("value", "mean"), chance=("chance", "mean"), n_layers=("layer", "nunique"), n=("n", "sum")
        )
        rows.append(means.assign(metric=metric + ":" + means["matrix"], rank=means["matrix"].map(_rank)))
    table = pd.concat(rows, ignore_index=True)
    table["part"] = table["metric"].str.startswith("pair").astype(int)
    table = table.sort_values([*_GROUP[:3], "part", "rank", "calibration"], kind="stable").reset_index(drop=True)
    table = table.merge(paper, how="left", on=[*_GROUP, "metric"]).assign(unit="1")
    table["seed"] = pd.array([pd.NA] * len(table), dtype="Int32")
    table["eval_language"] = pd.array([pd.NA] * len(table), dtype="string")
    columns = [*_GROUP, "seed", "metric", "eval_language", "value", "unit", "n", "n_layers", "chance", "paper_value"]
    return table[columns]


def _rank(matrix: str) -> int:
    return TABLE_ORDER.index(matrix) if matrix in TABLE_ORDER else len(TABLE_ORDER)


def _label(calibration: str) -> str:
    return calibration.upper().replace("-", ", ")


def render_iou(rows: pd.DataFrame, title: str, titles: Mapping[str, str]) -> str:
    """The page: for each model the paper's comparison, then single masks, which can be compared across tables."""
    parts = [
        f"# {title}",
        "Intersection over union of the sets of pruned weights, unweighted mean over layers. The last row of a table "
        "is "
        "what independent random masks of the same sparsity would have. The second table compares masks two at a time "
        "(mean over pairs of seeds, or of languages at the same seed): these numbers, unlike the first, can be "
        "compared "
        "between tables 16 and 17. In parentheses: the value that the paper prints.",
    ]
    for (model, method, scheme), block in rows.groupby(_GROUP[:3], sort=False):
        parts.append(f"## {titles[str(model)]}, {method_title(str(method))} {scheme}")
        for metric, name in (("iou", "IoU"), ("pair_iou", "IoU of single masks, two at a time")):
            shown = block[block["metric"].str.startswith(f"{metric}:")]
            parts.append(_table(shown, name))
    return "\n\n".join(parts) + "\n"


def _table(shown: pd.DataFrame, name: str) -> str:
    calibrations = list(dict.fromkeys(shown["calibration"]))
    lines = [[name, *map(_label, calibrations)]]
    for metric, of_matrix in shown.groupby("metric", sort=False):
        by_calibration = of_matrix.set_index("calibration")
        lines.append([str(metric).split(":")[1], *(_cell(by_calibration.loc[each]) for each in calibrations)])
    chance = shown.groupby("calibration")["chance"].mean()
    return pipe_table([*lines, [CHANCE, *(f"{chance[each]:.3f}" for each in calibrations)]])


def _cell(row: Any) -> str:
    printed = f" ({format_printed(row['paper_value'])})" if pd.notna(row["paper_value"]) else ""
    return f"{row['value']:.3f}{printed}"


def save_iou_picture(path: Path, rows: pd.DataFrame, title: str, titles: Mapping[str, str]) -> None:
    """The first table of each block as shaded cells."""
    save_png(lambda: _draw_table(rows, title, titles), path)


def _draw_table(rows: pd.DataFrame, title: str, titles: Mapping[str, str]) -> Figure:
    shown = rows[rows["metric"].str.startswith("iou:")]
    blocks = list(shown.groupby(_GROUP[:3], sort=False))
    calibrations = list(dict.fromkeys(shown["calibration"]))
    caption = (
        "Intersection over union of the sets of pruned weights, unweighted mean over layers; lighter is more similar. "
        f"Independent random masks: {shown['chance'].mean():.3f}."
    )
    width = max(1.3 + 0.75 * len(calibrations), 6.2)
    tall = [0.55 + 0.24 * block["metric"].nunique() for _, block in blocks]
    bottom = caption_height(caption, width)
    head = head_height(title, width, False)
    height = head + sum(tall) + bottom
    figure, top = Figure(figsize=(width, height)), height - head
    for (key, block), tallness in zip(blocks, tall, strict=True):
        model, method, scheme = cast(tuple[str, str, str], key)
        grid = block.pivot(index="metric", columns="calibration", values="value")
        grid = grid.loc[list(dict.fromkeys(block["metric"])), calibrations]
        cells = (
            1.1 / width,
            (top - tallness + 0.1) / height,
            0.75 * len(calibrations) / width,
            (tallness - 0.55) / height,
        )
        axes = figure.add_axes(cells)
        values = grid.to_numpy(dtype=float)
        axes.pcolormesh(values, cmap=_MAP, vmin=shown["value"].min(), vmax=shown["value"].max(), edgecolors="white")
        axes.set(ylim=(len(grid), 0))
        axes.set_xticks(np.arange(len(calibrations)) + 0.5, [_label(each) for each in calibrations])
        axes.set_yticks(np.arange(len(grid)) + 0.5, [str(metric).split(":")[1] for metric in grid.index])
        axes.xaxis.tick_top()
        axes.tick_params(length=0, labelsize=8)
        for side in axes.spines.values():
            side.set_visible(False)
        for (row, column), value in np.ndenumerate(values):
            pale = (shown["value"].max() - value) / max(1e-9, np.ptp(shown["value"].to_numpy())) > PALE_FROM
            ink = "#ffffff" if pale else INK
            axes.text(column + 0.5, row + 0.5, f"{value:.3f}", ha="center", va="center", color=ink)
        label = f"{titles[model]}, {method_title(method)} {scheme}"
        figure.text(0.12 / width, (top - 0.08) / height, label, size=9, weight="bold", va="center")
        top -= tallness
    heading(figure, title, caption)
    return figure
