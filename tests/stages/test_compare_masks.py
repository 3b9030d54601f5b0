"""Masks of checkpoints beside our own: shares counted by hand, and who is compared with whom."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from tests.helpers.titles import titles_of

from polyprune.artifacts.cells import join_layers, save_layer
from polyprune.artifacts.measurements import MASK_AGREEMENT, load_measurements
from polyprune.artifacts.weights import SparseWeight
from polyprune.errors import UserError
from polyprune.report.tables.same_masks import SAME_SHARD
from polyprune.settings.studies import TableSettings
from polyprune.stages.compare_masks import compare_masks
from polyprune.stages.tabulate import tabulate

ROWS, COLUMNS = 10, 100
NAMES = [f"model.layers.{layer}.mlp.{matrix}" for layer in (0, 1) for matrix in ("up_proj", "down_proj")]


def cell(
    folder: Path, method: str, seed: int, flipped: dict[str, int], digest: str = "abc"
) -> tuple[Path, dict[str, Any]]:
    """Half of each matrix is removed, but of the pairs of neighbours that `flipped` counts the other half."""
    variant = {"model": "m", "method": method, "scheme": "0.50", "calibration": "de", "seed": seed}
    path = folder / method / f"seed{seed}.safetensors"
    about = {**variant, "model_digest": digest}
    about |= {"checkpoint": {"digest": f"{seed}"}} if "@" in method else {"calibration_digest": f"text {seed}"}
    for layer in (0, 1):
        weights = {}
        for name in NAMES[2 * layer : 2 * layer + 2]:
            keep = torch.arange(ROWS * COLUMNS) % 2 == 0
            keep[: 2 * flipped.get(name, 0)] ^= True
            weights[name] = SparseWeight(keep.view(ROWS, COLUMNS), None)
        save_layer(path.with_suffix(".layers"), layer, weights, about)
    join_layers(path.with_suffix(".layers"), 2, path, about)
    return path, variant


def compare(folder: Path, cells: list[tuple[Path, dict[str, Any]]]) -> Path:
    output = folder / "all.parquet"
    compare_masks([path for path, _ in cells], [variant for _, variant in cells], output, {"code": "abc"})
    return output


def test_shares_are_of_the_weights_whose_fate_is_the_same(tmp_path: Path) -> None:
    """Of 1,000 weights a flipped pair is two. Every seed of ours is compared, and no cell of another method."""
    cells = [
        cell(tmp_path, "wanda", 0, {}),
        cell(tmp_path, "wanda", 1, dict.fromkeys(NAMES, 50)),
        cell(tmp_path, "magnitude", 0, {}),
        cell(tmp_path, "wanda@tool", 42, {NAMES[0]: 1, NAMES[3]: 25}),
    ]
    rows = load_measurements([compare(tmp_path, cells)], MASK_AGREEMENT)
    assert set(zip(rows["method"], rows["seed"], rows["seed_here"], strict=True)) == {
        ("wanda@tool", 42, 0), ("wanda@tool", 42, 1),
    }  # fmt: skip
    beside_0 = rows[rows["seed_here"] == 0].set_index(["layer", "matrix"])["value"].to_dict()
    assert beside_0 == pytest.approx(
        {(0, "up_proj"): 0.998, (0, "down_proj"): 1, (1, "up_proj"): 1, (1, "down_proj"): 0.95}
    )
    assert set(rows["n"]) == {1000}


def test_a_matrix_that_one_cell_leaves_dense_is_kept_whole(tmp_path: Path) -> None:
    ours, theirs = cell(tmp_path, "wanda", 0, {}), cell(tmp_path, "wanda@tool", 0, {})
    about = {**theirs[1], "model_digest": "abc", "checkpoint": {"digest": "0"}}
    half = torch.arange(ROWS * COLUMNS).view(ROWS, COLUMNS) % 2 == 0
    save_layer(tmp_path / "parts", 0, {NAMES[0]: SparseWeight(half, None)}, about)
    join_layers(tmp_path / "parts", 1, theirs[0], about)
    rows = load_measurements([compare(tmp_path, [ours, theirs])], MASK_AGREEMENT)
    assert list(rows["value"]) == pytest.approx([0.5, 1, 0.5, 0.5])


def test_what_has_nothing_beside_it_or_is_of_another_model_is_refused(tmp_path: Path) -> None:
    theirs = cell(tmp_path, "wanda@tool", 0, {})
    with pytest.raises(UserError, match="no cell of a checkpoint has a cell computed here beside it"):
        compare(tmp_path, [theirs, cell(tmp_path, "magnitude", 0, {})])
    with pytest.raises(UserError, match="model_digest"):
        compare(tmp_path, [theirs, cell(tmp_path, "wanda", 0, {}, digest="other")])


def test_the_table_says_whether_the_text_is_the_same(tmp_path: Path) -> None:
    """By the first layer alone: rounding moves a few weights there, and more of them later."""
    few, many = int(1000 * (1 - SAME_SHARD)) // 2, 20
    cells = [
        cell(tmp_path, "wanda", 0, {}),
        cell(tmp_path, "wanda@tool", 0, {NAMES[0]: few, NAMES[1]: few, NAMES[2]: many}),
        cell(tmp_path, "wanda@tool", 1, {NAMES[0]: many}),
    ]
    table = TableSettings(title="Same", report="same_masks")
    files = [tmp_path / f"table1.{ending}" for ending in ("parquet", "md", "png", "json")]
    titles = replace(titles_of({"m": "Model"}), methods={"wanda@tool": "Wanda (tool)"})
    tabulate(
        [compare(tmp_path, cells)], [], [], "same_masks", table, titles, files[0], files[1], files[2], files[3], {}
    )
    first, second = pq.read_table(files[0]).to_pylist()
    assert (first["text"], first["equal"], first["matrices"]) == ("same", 1, 4)
    assert (second["text"], second["equal"]) == ("other", 3)
    assert first["first_layer"] == pytest.approx(SAME_SHARD) and second["first_layer"] == pytest.approx(0.98)
    assert first["value"] == pytest.approx(np.mean([1 - 2 * few / 1000] * 2 + [0.96, 1]))
    page = files[1].read_text(encoding="utf-8")
    assert "## Model, Wanda (tool) 50 %" in page and "DE, seed 1 beside 0" in page and "3 of 4 | other |" in page
    assert files[2].stat().st_size > 1000
