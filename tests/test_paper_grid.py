"""The paper's study in config.yaml has exactly the cells that its printed tables have rows: no more, no fewer."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import pytest
import yaml

from polyprune.settings.config import Settings
from polyprune.settings.load import load_settings
from polyprune.settings.studies import Study

ROOT = Path(__file__).parent.parent
TABLES = sorted((ROOT / "data/paper").glob("table*.csv"))
THREE_RUNS = {1, 2, 3, 4, 6, 8, 12, 13, 16, 17}
"""Tables that average three runs; in table 7 those of the 8B models; table 9 says so, but its numbers say one."""


@pytest.fixture(scope="module")
def study() -> Study:
    settings: Settings = load_settings(yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8")))
    return settings.studies["paper"]


def printed_rows(path: Path) -> set[tuple[str, str, str, str]]:
    """Model, method, scheme, calibration of every pruned row; a pair that table 17 compares stands for both."""
    with path.open(encoding="utf-8") as stream:
        rows = {
            (row["model"], row["method"], row["scheme"], row["calibration"])
            for row in csv.DictReader(stream)
            if row["method"] != "dense"
        }
    if path.stem == "table17":
        return {(*row[:3], language) for row in rows for language in row[3].split("-")}
    return rows


def test_every_printed_table_is_in_the_study(study: Study) -> None:
    assert {path.stem for path in TABLES} == set(study.tables) and len(TABLES) == 16


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_cells_are_the_printed_rows(study: Study, path: Path) -> None:
    """Tables 4 and 8 show English and the target language beside the printed mixes, from cells of other tables."""
    cells = [cell for grid in study.tables[path.stem].grids for cell in study.grids[grid].cells()]
    assert set(cells) == set(study.cells(path.stem)) or study.tables[path.stem].references
    assert {(cell.model, cell.method, cell.scheme, cell.calibration) for cell in cells} == printed_rows(path)
    seeds: dict[tuple[str, ...], set[int]] = defaultdict(set)
    for cell in cells:
        seeds[cell.model, cell.method, cell.scheme, cell.calibration].add(cell.seed)
    number = int(path.stem.removeprefix("table"))
    for (model, *_), found in seeds.items():
        three = number in THREE_RUNS or (number == 7 and model.endswith("8b"))
        assert found == ({0, 42, 1234} if three else {0})


def test_the_whole_grid_has_361_cells(study: Study) -> None:
    """84 + 28 + 144 + 28 + 14 + 14 + 14 + 21 + 14, counted by hand from the captions."""
    assert len({cell for table in study.tables for cell in study.cells(table)}) == 361


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_benchmarks_are_the_printed_columns(study: Study, path: Path) -> None:
    with path.open(encoding="utf-8") as stream:
        metrics = {row["metric"] for row in csv.DictReader(stream)}
    table = study.tables[path.stem]
    expected = {
        "drift": {"perplexity", "snr", "pruning_error"},
        "benchmarks": set(table.benchmarks),
        "mask_iou": {f"iou:{part}" for part in ("q", "k", "v", "attn.out", "ffn.up", "ffn.gate", "ffn.down")},
    }
    assert metrics == expected[table.report.removesuffix("_languages")]
