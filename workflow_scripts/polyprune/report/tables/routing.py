"""Routing by language: what compression keeps of it, how alike languages are routed, what removed experts had."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import pyarrow as pa

from polyprune.artifacts.measurements import FRAME, ROUTING, load_measurements
from polyprune.grammar.columns import place_in_tables
from polyprune.grammar.paths import DENSE
from polyprune.grammar.titles import Titles
from polyprune.report.names import calibration_label
from polyprune.report.pipe_tables import pipe_table
from polyprune.report.routing import KEPT, LOST, OVERLAP, compared, with_others
from polyprune.report.tables.picture import Grid, Picture, Section
from polyprune.report.tables.report import Report
from polyprune.report.tables.rows import notes, read_headers
from polyprune.settings.studies import TableSettings

_GROUP = ["model", "method", "scheme", "calibration", "metric", "eval_language"]
_PARTS = {
    KEPT: "Routing kept",
    OVERLAP: "Overlap with the other languages",
    LOST: "Choices that lost their expert",
}
"""Metrics, and the titles of their parts."""
_ALIKE = (KEPT, OVERLAP)
_NOTES = (
    "Of a mixture of experts: the share of a language's choices that each expert gets (a token makes as many as it is "
    "sent to experts), compared layer by layer as 1 − Jensen-Shannon divergence (base 2): 1 is routed alike, 0 "
    "shares no expert; means over layers and seeds.",
    "Routing kept: the dense model beside the compressed one, in the same language. Overlap: one language beside "
    "each other one in the same model, mean over these.",
    "Choices that lost their expert: the dense model's, to experts that the compressed one has no more.",
)


def report(
    measurements: Sequence[Path],
    paper: Sequence[Path],  # noqa: ARG001
    table: TableSettings,
    titles: Titles,
    evidence: Sequence[Path],  # noqa: ARG001
) -> Report:
    """The table of the routing of cells and of their dense models, of which the paper prints nothing."""
    rows = table_rows(load_measurements(measurements, ROUTING))
    said = notes(read_headers(measurements, ROUTING.schema).values())
    means = rows[rows["method"] != DENSE].groupby("metric", sort=False)["value"]
    return Report(
        schema=FRAME,
        rows=pa.Table.from_pandas(rows, preserve_index=False),
        page=render(rows, table.title, titles, said),
        picture=picture(rows, table.title, titles),
        log=[f"{_PARTS[str(metric)]}: {values.mean():.3f} (mean of {len(values)})" for metric, values in means],
    )


def table_rows(measured: pd.DataFrame) -> pd.DataFrame:
    """Means over layers and seeds by variant, metric and evaluation language; `LOST` where experts are removed."""
    rows = compared(measured)
    rows = pd.concat([rows[rows["metric"] != OVERLAP], with_others(rows)], ignore_index=True)
    found = rows.groupby(_GROUP, as_index=False, sort=False).agg(
        value=("value", "mean"),
        n=("n", "first"),
        n_seeds=("seed", lambda seeds: max(1, seeds.nunique())),
        n_layers=("layer", "nunique"),
    )
    ranks = found["metric"].map(list(_PARTS).index), found["eval_language"].map(place_in_tables)
    keys = found[["model", "method", "scheme"]].assign(
        dense=found["method"] != DENSE, mixed=found["calibration"].str.count("-"), calibration=found["calibration"],
        metric=ranks[0], language=ranks[1],
    )[["model", "dense", "method", "scheme", "metric", "mixed", "calibration", "language"]]  # fmt: skip
    return found.loc[keys.sort_values(list(keys.columns)).index].assign(unit="1").reset_index(drop=True)


def _blocks(rows: pd.DataFrame) -> list[tuple[tuple[str, str, str], dict[str, pd.DataFrame]]]:
    """Model, method and scheme; and of each its parts as [calibration, language], the dense model above its cells."""
    found = []
    for key, block in rows[rows["method"] != DENSE].groupby(_GROUP[:3], sort=False):
        key = cast(tuple[str, str, str], key)
        shown = pd.concat([rows[(rows["model"] == key[0]) & (rows["method"] == DENSE)], block])
        names, languages = (list(dict.fromkeys(shown[column])) for column in ("calibration", "eval_language"))
        parts = {
            metric: shown[shown["metric"] == metric]
            .pivot(index="calibration", columns="eval_language", values="value")
            .reindex(index=names, columns=languages)
            for metric in _PARTS
            if (block["metric"] == metric).any()
        }
        found.append((key, parts))
    return found


def _texts(values: pd.DataFrame) -> np.ndarray:
    return np.vectorize(lambda value: "" if np.isnan(value) else f"{value:.3f}", otypes=[object])(values.to_numpy())


def _said(rows: pd.DataFrame) -> list[str]:
    return list(_NOTES if (rows["metric"] == LOST).any() else _NOTES[:2])


def render(rows: pd.DataFrame, title: str, titles: Titles, said: Sequence[str]) -> str:
    """The page: for each model, method and scheme a table a part; `said` is of single cells."""
    parts = [f"# {title}", " ".join(_said(rows))]
    for key, block in _blocks(rows):
        parts.append(f"## {titles.heading(*key)}")
        for metric, values in block.items():
            lines = [[_PARTS[metric], *(str(language).upper() for language in values.columns)]]
            lines += [
                [calibration_label(str(name)), *texts] for name, texts in zip(values.index, _texts(values), strict=True)
            ]
            parts.append(pipe_table(lines))
    parts += [f"* {each}" for each in said]
    return "\n\n".join(parts) + "\n"


def picture(rows: pd.DataFrame, title: str, titles: Titles) -> Picture:
    """The parts of each block side by side; a part has one scale of shades in all blocks."""
    blocks = _blocks(rows)
    ends: dict[str, tuple[float, float]] = {}
    for metric in _PARTS:
        if parts := [block[metric].to_numpy(dtype=float).ravel() for _, block in blocks if metric in block]:
            values = np.concatenate(parts)
            ends[metric] = float(np.nanmin(values)), float(np.nanmax(values))
    sections = tuple(
        Section(
            heading=titles.heading(*key),
            down="calibration language",
            rows=tuple(calibration_label(str(name)) for name in next(iter(block.values())).index),
            grids=tuple(_grid(metric, part, ends[metric]) for metric, part in block.items()),
            keys=tuple(map(str, next(iter(block.values())).index)),
            block=key,
        )
        for key, block in blocks
    )
    caption = [*_said(rows), "Shade: the lighter, the more alike, or the less lost; each title has a scale of its own."]
    return Picture(sections, title, ("most alike", "least alike"), " ".join(caption))


def _grid(metric: str, values: pd.DataFrame, ends: tuple[float, float]) -> Grid:
    numbers, (low, high) = values.to_numpy(dtype=float), ends
    span = max(high - low, 1e-3)
    return Grid(
        title=_PARTS[metric],
        across="evaluation language",
        columns=tuple(str(language).upper() for language in values.columns),
        texts=_texts(values),
        shades=(high - numbers if metric in _ALIKE else numbers - low) / span,
        frames=np.zeros(numbers.shape, dtype=bool),
        keys=tuple(map(str, values.columns)),
        numbers={"value": numbers},
    )
