"""The table of routing: every number from shares by hand, the page, the files."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.spatial.distance import jensenshannon
from tests.helpers.measured import routing
from tests.helpers.titles import titles_of

from polyprune.artifacts.measurements import ROUTING
from polyprune.artifacts.tables import save_table
from polyprune.report.tables.routing import picture, table_rows
from polyprune.settings.studies import TableSettings
from polyprune.stages.tabulate import tabulate

LANGUAGES = ["de", "en", "sw"]
TITLES = titles_of({"m": "Model"})


def shares(measured: pd.DataFrame, calibration: str, layer: int, seed: int | None = None) -> np.ndarray:
    """[language, expert], row by row."""
    rows = measured[(measured["calibration"] == calibration) & (measured["layer"] == layer)]
    rows = rows if seed is None else rows[rows["seed"] == seed]
    return np.array([[rows[(rows["eval_language"] == name) & (rows["expert"] == expert)]["value"].item()
                      for expert in sorted(set(rows["expert"]))] for name in LANGUAGES])  # fmt: skip


def alike(p: np.ndarray, q: np.ndarray) -> float:
    return 1 - jensenshannon(p, q, base=2) ** 2


def value(rows: pd.DataFrame, metric: str, calibration: str, language: str) -> float:
    chosen = (rows["metric"] == metric) & (rows["calibration"] == calibration) & (rows["eval_language"] == language)
    return rows[chosen]["value"].item()


def test_numbers_are_means_over_layers_seeds_and_other_languages() -> None:
    """ROUTE-2 and ROUTE-3, one pair at a time."""
    measured = routing(LANGUAGES, removed=[1], seeds=2)
    rows = table_rows(measured)
    for place, language in enumerate(LANGUAGES):
        dense = [shares(measured, "dense", layer) for layer in range(2)]
        others = [each for each in range(3) if each != place]
        apart = [alike(layer[place], layer[other]) for layer in dense for other in others]
        assert value(rows, "overlap", "dense", language) == pytest.approx(np.mean(apart))
        cells = [
            (dense[layer], shares(measured, "en", layer, seed)) for layer, seed in itertools.product(range(2), (0, 1))
        ]
        kept = [alike(before[place], after[place]) for before, after in cells]
        assert value(rows, "kept", "en", language) == pytest.approx(np.mean(kept))
        assert value(rows, "lost", "en", language) == pytest.approx(np.mean([layer[place, 1] for layer in dense]))
    assert set(rows[rows["method"] != "dense"]["n_seeds"]) == {2} and set(rows["n_layers"]) == {2}
    assert "lost" not in set(table_rows(routing(LANGUAGES))["metric"])


def test_the_dense_model_stands_above_its_cells_and_the_lightest_is_most_alike() -> None:
    measured = routing(LANGUAGES, removed=[1])
    (section,) = picture(table_rows(measured), "Title", TITLES).sections
    assert section.rows == ("dense", "DE", "EN", "SW") and section.block == ("m", "sparsegpt", "0.50")
    kept, overlap, lost = section.grids
    assert list(kept.texts[0]) == [""] * 3 and np.isnan(kept.shades[0]).all() and not np.isnan(overlap.shades).any()
    for grid, best in ((kept, np.nanmax), (overlap, np.nanmax), (lost, np.nanmin)):
        numbers = grid.numbers["value"]
        assert numbers[grid.shades == 0].tolist() == [best(numbers)] * int((grid.shades == 0).sum())


def test_the_page_and_the_files(tmp_path: Path) -> None:
    """Notes of cells stand below the numbers."""
    measured, files = routing(LANGUAGES), []
    for calibration, seed in (("dense", None), ("de", 0)):
        of_variant = measured[measured["calibration"] == calibration]
        variant = {**of_variant.iloc[0][["model", "method", "scheme", "calibration"]].to_dict(), "seed": seed}
        about = {"variant": variant, "sources": {"model": "0"}, "cell": {"notes": ["few"]} if seed == 0 else None}
        files.append(tmp_path / f"{calibration}.parquet")
        columns = pa.Table.from_pandas(of_variant, schema=ROUTING.columns, preserve_index=False)
        save_table(files[-1], ROUTING.schema, columns, about)
    table = TableSettings(title="Routing", report="routing")
    outputs = [tmp_path / f"table1.{ending}" for ending in ("parquet", "md", "png", "json")]
    tabulate(files, [], [], "routing", table, TITLES, outputs[0], outputs[1], outputs[2], outputs[3], {})
    page, rows = outputs[1].read_text(encoding="utf-8"), pq.read_table(outputs[0]).to_pylist()
    assert "# Routing" in page and "* m/sparsegpt/0.50/de/0: few" in page
    counted = [(row["metric"], row["calibration"], row["eval_language"]) for row in rows]
    assert counted == [("overlap", "dense", name) for name in LANGUAGES] + [
        (metric, "de", name) for metric in ("kept", "overlap") for name in LANGUAGES
    ]
    assert all(f"{row['value']:.3f}" in page for row in rows)
    assert all(output.stat().st_size > 500 for output in outputs)
