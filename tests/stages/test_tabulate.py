"""Tables as files: four forms of each, of the kind that was asked for, the same bytes from the same scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.helpers import measured
from tests.helpers.headers import scored
from tests.helpers.scores import write_variant
from tests.helpers.titles import titles_of

from polyprune.artifacts.evaluations import SCORES, SCORES_SCHEMA
from polyprune.artifacts.measurements import FRAME, MASK_AGREEMENT, MASK_IOU, ROUTING, TABLE
from polyprune.artifacts.sheets import load_sheet
from polyprune.artifacts.tables import save_table
from polyprune.grammar.reports import TABLES
from polyprune.report.tables import drift as drift_table
from polyprune.settings.studies import Table
from polyprune.stages.tabulate import tabulate

CELL = ("wanda", "0.50", "de", 0)


def drift(folder: Path) -> list[Path]:
    dense = {("perplexity", "de"): 2.0, ("bits_per_byte", "de"): 1.0}
    files = [write_variant(folder, "m", dense)]
    snr = {("snr", "de"): 9.0, ("snr_robust", "de"): 8.0}
    error = {("pruning_error", "de"): 1e-3, ("pruning_error_robust", "de"): 1e-3}
    return [*files, write_variant(folder, "m", dense | snr | error | {("massive_tokens", "de"): 0.0}, CELL)]


def benchmarks(folder: Path) -> list[Path]:
    row: dict[str, Any] = {"model": "m", "benchmark": "arc", "eval_language": "de", "task": "t", "metric": "acc"}
    row |= {"value": 0.5, "stderr": 0.1, "unit": "1", "n": 60, "headline": True, "profile": "harness"}
    variants = [("dense", "dense", "dense", None), CELL]
    rows = [row | dict(zip(("method", "scheme", "calibration", "seed"), names, strict=True)) for names in variants]
    files = []
    for each in rows:
        files.append(folder / f"{each['method']}.parquet")
        variant = {name: each[name] for name in ("model", "method", "scheme", "calibration", "seed")}
        save_table(files[-1], SCORES_SCHEMA, pa.Table.from_pylist([each], schema=SCORES), scored(variant))
    return files


def masks(folder: Path) -> list[Path]:
    path = folder / "masks.parquet"
    measured.save(path, measured.mask_iou(["de", "en"]), MASK_IOU)
    return [path]


def same_masks(folder: Path) -> list[Path]:
    path = folder / "same_masks.parquet"
    row = dict(zip(("model", "method", "scheme", "calibration", "seed"), ("m", *CELL), strict=True))
    rows = [row | {"seed_here": 0, "layer": layer, "matrix": "q_proj", "value": 0.9, "n": 100} for layer in (0, 1)]
    measured.save(path, pd.DataFrame(rows), MASK_AGREEMENT)
    return [path]


def routing(folder: Path) -> list[Path]:
    rows, files = measured.routing(["de", "en"]), []
    for calibration, of_variant in rows.groupby("calibration"):
        files.append(folder / f"{calibration}.parquet")
        variant = of_variant.iloc[0][["model", "method", "scheme", "calibration"]].to_dict()
        about = {"variant": variant | {"seed": None if calibration == "dense" else 0}, "sources": {}, "cell": None}
        table = pa.Table.from_pandas(of_variant, schema=ROUTING.columns, preserve_index=False)
        save_table(files[-1], ROUTING.schema, table, about)
    return files


KINDS = {
    "drift": (drift, set(drift_table.CELL_METRICS), {}),
    "benchmarks": (benchmarks, {"arc"}, {"profiles": ["harness"]}),
    "mask_iou": (masks, {f"{part}:{name}" for part in ("iou", "pair_iou") for name in measured.MATRICES}, {}),
    "same_masks": (same_masks, set(), {}),
    "routing": (routing, {"kept", "overlap"}, {}),
    "mask_iou_languages": (masks, {f"{part}:{name}" for part in ("iou", "pair_iou") for name in measured.MATRICES}, {}),
}
"""Measurements, the metrics of their table, and what its rows say of themselves."""


def test_every_kind_is_tried_here() -> None:
    assert set(KINDS) == set(TABLES)


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_has_four_forms_of_the_same_bytes_each_time(kind: str, tmp_path: Path) -> None:
    make, metrics, said = KINDS[kind]
    files = make(tmp_path)
    table = Table(title="A title", report=kind, grids=["g"], benchmarks=["arc"] if kind == "benchmarks" else [])
    outputs = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        paths = [folder / f"table1.{ending}" for ending in ("parquet", "md", "png", "json")]
        tabulate(
            files,
            [],
            [],
            TABLES[kind].module,
            table,
            titles_of({"m": "Model"}),
            paths[0],
            paths[1],
            paths[2],
            paths[3],
            {"code": "x"},
        )
        outputs.append([path.read_bytes() for path in paths])
    assert outputs[0] == outputs[1]
    written = pq.read_table(tmp_path / "a" / "table1.parquet")
    assert not metrics or set(written["metric"].to_pylist()) == metrics
    assert json.loads(written.schema.metadata[b"polyprune"]) == {
        "code": "x",
        "schema": FRAME if "mask" in kind or kind == "routing" else TABLE,
        "place": None,
        **said,
    }
    assert outputs[0][1].decode().startswith("# A title") and outputs[0][2].startswith(b"\x89PNG")
    if kind.startswith("mask"):
        pairs = {"-" in name for name in written["calibration"].to_pylist()}
        assert pairs == {kind == "mask_iou_languages"}
    sheet = load_sheet(tmp_path / "a" / "table1.json")
    assert sheet["title"].startswith("A title") and sheet["code"] == "x"
    page = outputs[0][1].decode()
    texts = [text for grid in sheet["sections"][0]["grids"] for row in grid["texts"] for text in row]
    assert any(texts) and all(text in page for text in texts)
