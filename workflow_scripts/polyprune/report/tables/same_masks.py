"""Whether cells of checkpoints have the masks of our own: by seed of both, how many weights share their fate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa

from polyprune.artifacts.measurements import FRAME, MASK_AGREEMENT, load_measurements
from polyprune.grammar.titles import Titles
from polyprune.report.names import calibration_label
from polyprune.report.pipe_tables import pipe_table
from polyprune.report.tables.picture import Grid, Picture, Section
from polyprune.report.tables.report import Report
from polyprune.settings.studies import TableSettings

SAME_SHARD = 0.998
"""Least share of the first layer's weights whose fate is the same where the text is: what rounding in 16 bits leaves
(`docs/methods.md`, 16-bit models)."""
_GROUP = ["model", "method", "scheme", "calibration", "seed", "seed_here"]
_COLUMNS = ("all", "first layer", "equal", "text")
_NOTE = (
    "Share of the weights that both masks keep or both remove: in all matrices, and in those of the first layer, whose "
    f"inputs only the text decides. Text: said to be the same from {100 * SAME_SHARD:g} % in the first layer on, what "
    "rounding in 16 bits leaves; equal: how many matrices have the same mask to the bit."
)


def report(
    measurements: Sequence[Path],
    paper: Sequence[Path],  # noqa: ARG001
    table: TableSettings,
    titles: Titles,
    evidence: Sequence[Path],  # noqa: ARG001
) -> Report:
    """The table of one or more grids' measurements, of which the paper prints nothing; there is no `evidence`."""
    rows = table_rows(load_measurements(measurements, MASK_AGREEMENT))
    lines = [
        f"{titles.heading(row['model'], row['method'], row['scheme'])}, {_pair(row)}: {100 * row['value']:.2f} % of "
        f"the mask, text {row['text']}"
        for row in rows.to_dict("records")
    ]
    return Report(
        schema=FRAME,
        rows=pa.Table.from_pandas(rows, preserve_index=False),
        page=render(rows, table.title, titles),
        picture=picture(rows, table.title, titles),
        log=lines,
    )


def table_rows(measured: pd.DataFrame) -> pd.DataFrame:
    """A row a pair of cells: `value` over all weights, `first_layer`, `equal` of `matrices`, `text` same or other."""
    found = []
    for key, pair in measured.groupby(_GROUP, sort=True):
        first = pair[pair["layer"] == pair["layer"].min()]
        in_first = _share(first)
        found.append(
            dict(zip(_GROUP, key, strict=True))
            | {"value": _share(pair), "first_layer": in_first, "equal": int((pair["value"] == 1).sum())}
            | {"matrices": len(pair), "n": int(pair["n"].sum()), "text": "same" if in_first >= SAME_SHARD else "other"}
        )
    return pd.DataFrame(found).astype({"seed": "int32", "seed_here": "int32"})


def _share(pair: pd.DataFrame) -> float:
    return float((pair["value"] * pair["n"]).sum() / pair["n"].sum())


def _pair(row: Mapping[Any, Any]) -> str:
    """`DE, seed 42 beside 0`."""
    return f"{calibration_label(row['calibration'])}, seed {row['seed']} beside {row['seed_here']}"


def _texts(row: Mapping[Any, Any]) -> list[str]:
    shares = [f"{row[name]:.4f}" for name in ("value", "first_layer")]
    return [*shares, f"{row['equal']} of {row['matrices']}", str(row["text"])]


def render(rows: pd.DataFrame, title: str, titles: Titles) -> str:
    """The page: a table a model, method and scheme, a row a pair of cells."""
    parts = [f"# {title}", _NOTE]
    for (model, method, scheme), block in rows.groupby(_GROUP[:3], sort=False):
        parts.append(f"## {titles.heading(str(model), str(method), str(scheme))}")
        lines = [[_pair(row), *_texts(row)] for row in block.to_dict("records")]
        parts.append(pipe_table([["theirs beside ours", *_COLUMNS], *lines]))
    return "\n\n".join(parts) + "\n"


def picture(rows: pd.DataFrame, title: str, titles: Titles) -> Picture:
    """The same; shares have shades of one scale."""
    least = float(rows[["value", "first_layer"]].min().min())
    span = max(1 - least, 1e-9)
    sections = []
    for key, block in rows.groupby(_GROUP[:3], sort=False):
        model, method, scheme = cast(tuple[str, str, str], key)
        shares = block[["value", "first_layer"]].to_numpy(dtype=float)
        unknown = np.full_like(shares, np.nan)
        pairs = tuple(_pair(row) for row in block.to_dict("records"))
        grid = Grid(
            title="Equal masks",
            across="",
            columns=_COLUMNS,
            texts=np.array([_texts(row) for row in block.to_dict("records")], dtype=object),
            shades=np.hstack([(1 - shares) / span, unknown]),
            frames=np.zeros((len(block), len(_COLUMNS)), dtype=bool),
            keys=_COLUMNS,
            numbers={"value": np.hstack([shares, unknown])},
        )
        heading = titles.heading(model, method, scheme)
        down = "theirs beside ours"
        sections.append(Section(heading, down, pairs, (grid,), keys=pairs, block=(model, method, scheme)))
    return Picture(tuple(sections), title, ("most similar", "least similar"), _NOTE)
