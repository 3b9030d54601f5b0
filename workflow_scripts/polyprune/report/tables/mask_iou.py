"""Overlap of masks, mean over layers: tables 16 and 17 (figure 2 is layer by layer)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa

from polyprune.artifacts.measurements import FRAME, MASK_IOU, load_measurements
from polyprune.grammar.titles import Titles
from polyprune.report.figures.drawing import LEAST_OVERLAP, overlap_limits
from polyprune.report.names import calibration_label, is_pair, pair_label, removed_by
from polyprune.report.numbers import format_printed
from polyprune.report.pipe_tables import pipe_table
from polyprune.report.tables.picture import Grid, Picture, Section
from polyprune.report.tables.report import Report
from polyprune.settings.studies import TableSettings

TABLE_ORDER = ("q", "k", "v", "attn.out", "ffn.up", "ffn.gate", "ffn.down")
_GROUP = ["model", "method", "scheme", "calibration"]
CHANCE = "chance"
_PARTS = {"iou": "IoU of all seeds", "pair_iou": "IoU, two masks at a time"}
"""Kinds of metrics, and the titles of their tables."""


def report(
    measurements: Sequence[Path],
    paper: Sequence[Path],
    table: TableSettings,
    titles: Titles,
    evidence: Sequence[Path],  # noqa: ARG001
) -> Report:
    """The table of one or more grids' measurements; it compares seeds, or languages if its kind says so.

    There is no `evidence`.
    """
    compares = "languages" if table.report == "mask_iou_languages" else "seeds"
    rows = table_rows(load_measurements(measurements, MASK_IOU), compares, load_paper(paper))
    means = rows.groupby("metric", sort=False)["value"]
    return Report(
        schema=FRAME,
        rows=pa.Table.from_pandas(rows, preserve_index=False),
        page=render(rows, table.title, titles),
        picture=picture(rows, table.title, titles),
        log=[f"{metric}: {values.mean():.3f} (mean of {len(values)})" for metric, values in means],
    )


def load_paper(files: Sequence[Path]) -> pd.DataFrame:
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
            value=("value", "mean"),
            chance=("chance", "mean"),
            n_layers=("layer", "nunique"),
            n=("n", "sum"),
            n_seeds=("n_seeds", "first"),
        )
        rows.append(means.assign(metric=metric + ":" + means["matrix"], rank=means["matrix"].map(_rank)))
    table = pd.concat(rows, ignore_index=True)
    table["part"] = table["metric"].str.startswith("pair").astype(int)
    table = table.sort_values([*_GROUP[:3], "part", "rank", "calibration"], kind="stable").reset_index(drop=True)
    table = table.merge(paper, how="left", on=[*_GROUP, "metric"]).assign(unit="1")
    table["seed"] = pd.array([pd.NA] * len(table), dtype="Int32")
    table["eval_language"] = pd.array([pd.NA] * len(table), dtype="string")
    columns = [
        *_GROUP,
        "seed",
        "metric",
        "eval_language",
        "value",
        "unit",
        "n",
        "n_seeds",
        "n_layers",
        "chance",
        "paper_value",
    ]
    return table[columns]


def _rank(matrix: str) -> int:
    return TABLE_ORDER.index(matrix) if matrix in TABLE_ORDER else len(TABLE_ORDER)


def _compares_languages(rows: pd.DataFrame) -> bool:
    """`table_rows` leaves either calibrations or pairs of two that are compared, as `de-en`."""
    return all(map(is_pair, rows["calibration"]))


def _labels(rows: pd.DataFrame) -> dict[str, str]:
    """Calibrations, in their order, and how they are printed."""
    label = pair_label if _compares_languages(rows) else calibration_label
    return {name: label(name) for name in dict.fromkeys(rows["calibration"])}


def _notes(rows: pd.DataFrame) -> list[str]:
    """What page and picture say of their numbers."""
    counts = "/".join(map(str, sorted(set(rows["n_seeds"]))))
    removed = removed_by(rows["metric"].str.partition(":")[2].unique())
    notes = [f"Intersection over union of the sets of {removed} of {counts} seeds, unweighted mean over layers."]
    if _compares_languages(rows):
        notes.append("A & B: what all seeds of A remove, against what all seeds of B remove.")
    else:
        notes.append("Of what any seed of a calibration language removes: how much all of its seeds remove.")
    notes.append(
        "Two masks at a time: mean over pairs of seeds or, between languages, over pairs of the same seed; "
        "only these numbers can be compared between tables of seeds and of languages."
    )
    return notes


def render(rows: pd.DataFrame, title: str, titles: Titles) -> str:
    """The page: for each model the paper's comparison, then single masks, which can be compared across tables."""
    notes = [*_notes(rows), "Chance: independent random masks of the same sparsity."]
    if rows["paper_value"].notna().any():
        notes.append("In parentheses: the value that the paper prints.")
    parts = [f"# {title}", " ".join(notes)]
    for (model, method, scheme), block in rows.groupby(_GROUP[:3], sort=False):
        parts.append(f"## {titles.heading(str(model), str(method), str(scheme))}")
        parts += [_table(of_part, name) for name, of_part in _parts(block)]
    return "\n\n".join(parts) + "\n"


def _parts(block: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Title and rows of each table of a block."""
    return [(title, block[block["metric"].str.startswith(f"{part}:")]) for part, title in _PARTS.items()]


def _table(shown: pd.DataFrame, name: str) -> str:
    labels = _labels(shown)
    lines = [[name, *labels.values()]]
    for metric, of_matrix in shown.groupby("metric", sort=False):
        by_calibration = of_matrix.set_index("calibration")
        lines.append([str(metric).split(":")[1], *(_cell(by_calibration.loc[each]) for each in labels)])
    chance = shown.groupby("calibration")["chance"].mean()
    return pipe_table([*lines, [CHANCE, *(f"{chance[each]:.3f}" for each in labels)]])


def _cell(row: Any) -> str:
    printed = f" ({format_printed(row['paper_value'])})" if pd.notna(row["paper_value"]) else ""
    return f"{row['value']:.3f}{printed}"


def picture(rows: pd.DataFrame, title: str, titles: Titles) -> Picture:
    """Both tables of each block side by side; the scales of shades are the same in all blocks."""
    scales = {name: overlap_limits(shown["value"]) for name, shown in _parts(rows)}
    sections = []
    for key, block in rows.groupby(_GROUP[:3], sort=False):
        model, method, scheme = cast(tuple[str, str, str], key)
        matrices = tuple(dict.fromkeys(metric.split(":")[1] for metric in block["metric"]))
        sections.append(
            Section(
                heading=titles.heading(model, method, scheme),
                down="matrix",
                rows=(*matrices, CHANCE),
                grids=tuple(_grid(shown, name, scales[name]) for name, shown in _parts(block)),
                rule=len(matrices),
                keys=(*matrices, CHANCE),
                block=(model, method, scheme),
            )
        )
    caption = [
        *_notes(rows),
        "Shade: the lighter, the more similar; each of the two titles has a scale of its own, "
        f"at least {LEAST_OVERLAP:g} wide.",
    ]
    caption.append("Below the line: independent random masks of the same sparsity, not on the scale.")
    return Picture(tuple(sections), title, ("most similar", "least similar"), " ".join(caption))


def _grid(shown: pd.DataFrame, title: str, scale: tuple[float, float]) -> Grid:
    """Matrices down, calibrations across, and what chance would give; shades over the `scale` of values."""
    labels = _labels(shown)
    values = _by_matrix(shown, "value")
    chance = shown.groupby("calibration")["chance"].mean().loc[list(labels)].to_numpy(dtype=float)
    low, high = scale
    shades = (high - values) / (high - low)
    unknown = np.full_like(chance, np.nan)
    behind = {"value": ("value", chance), "paper": ("paper_value", unknown), "n_seeds": ("n_seeds", unknown)}
    return Grid(
        title=title,
        across="two languages" if _compares_languages(shown) else "calibration language",
        columns=tuple(labels.values()),
        texts=np.vectorize("{:.3f}".format, otypes=[object])(np.vstack([values, chance])),
        shades=np.vstack([shades, unknown]),
        frames=np.zeros((len(values) + 1, len(labels)), dtype=bool),
        keys=tuple(labels),
        numbers={name: np.vstack([_by_matrix(shown, column), beyond]) for name, (column, beyond) in behind.items()},
    )


def _by_matrix(shown: pd.DataFrame, column: str) -> np.ndarray:
    """[matrix, calibration], in the order of the rows."""
    values = shown.pivot(index="metric", columns="calibration", values=column)
    return values.loc[list(dict.fromkeys(shown["metric"])), list(_labels(shown))].to_numpy(dtype=float)
