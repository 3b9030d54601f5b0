"""Overlap of the masks of cells on disk, and the tables and figure made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from polyprune.artifacts.cells import SparseWeight, join_layers, save_layer
from polyprune.errors import UserError
from polyprune.settings.studies import Figure
from polyprune.stages.measure_mask_iou import layer_of, measure_mask_iou
from polyprune.stages.plot_mask_iou import plot_mask_iou
from polyprune.stages.tabulate_mask_iou import tabulate_mask_iou

SHAPES = {"self_attn.q_proj": (4, 11), "mlp.down_proj": (3, 20)}
CALIBRATIONS, SEEDS = ("de", "en"), (0, 1, 2)


def pruned(calibration: str, seed: int, layer: int, module: str) -> torch.Tensor:
    """A mask of its own for each cell and matrix; calibrations share most of theirs."""
    draw = torch.Generator().manual_seed(100 * layer + len(module))
    common = torch.rand(SHAPES[module], generator=draw)
    own = torch.rand(SHAPES[module], generator=draw.manual_seed(seed + 7 * CALIBRATIONS.index(calibration) + layer))
    return 0.7 * common + 0.3 * own < 0.5


def write_cell(folder: Path, calibration: str, seed: int, layers: int = 2, changed: bool = True) -> Path:
    path = folder / calibration / str(seed) / "weights.safetensors"
    about = {"method": "sparsegpt", "scheme": "0.50", "calibration": calibration, "seed": seed, "model_digest": "d"}
    for layer in range(layers):
        weights = {
            f"model.layers.{layer}.{module}": SparseWeight.of(
                torch.ones(shape), ~pruned(calibration, seed, layer, module), changed
            )
            for module, shape in SHAPES.items()
        }
        save_layer(path.with_suffix(".layers"), layer, weights, about)
    join_layers(path.with_suffix(".layers"), layers, path, about)
    return path


def variants() -> list[dict[str, Any]]:
    names = {"model": "m", "method": "sparsegpt", "scheme": "0.50"}
    return [names | {"calibration": c, "seed": s} for c in CALIBRATIONS for s in SEEDS]


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    cells = [write_cell(tmp_path, variant["calibration"], variant["seed"]) for variant in variants()]
    measure_mask_iou(cells[::-1], variants()[::-1], tmp_path / "iou.parquet", {})
    return tmp_path / "iou.parquet"


def test_overlap_is_of_pruned_weights_by_matrix(measured: Path):
    """IOU-1 and IOU-2 counted as sets, one by one."""
    rows = pd.read_parquet(measured)
    assert len(rows) == 2 * 2 * (2 * 2 + 2)
    for layer in (0, 1):
        for module, matrix in (("self_attn.q_proj", "q"), ("mlp.down_proj", "ffn.down")):
            of = rows[(rows["layer"] == layer) & (rows["matrix"] == matrix)]
            masks = {c: torch.stack([pruned(c, s, layer, module) for s in SEEDS]) for c in CALIBRATIONS}
            for calibration, stack in masks.items():
                value = of[(of["comparison"] == "seeds") & (of["calibration"] == calibration)]["value"].item()
                assert value == pytest.approx((stack.all(0).sum() / stack.any(0).sum()).item())
            de, en = (masks[c].all(0) for c in CALIBRATIONS)
            between = of.query("comparison == 'stable' and calibration == 'de-en'")["value"].item()
            assert between == pytest.approx(((de & en).sum() / (de | en).sum()).item())


def test_tables_are_means_over_layers_with_the_papers_values_beside(measured: Path, tmp_path: Path):
    paper = tmp_path / "table17.csv"
    header = "model,method,scheme,calibration,metric,eval_language,mean,std\n"
    paper.write_text(f"{header}m,sparsegpt,0.50,en-de,iou:q,,0.886,\n")
    files = tmp_path / "t.parquet", tmp_path / "t.md", tmp_path / "t.png"
    tabulate_mask_iou([measured], [paper], "Title", {"m": "Model"}, "languages", files[0], files[1], files[2], {})
    table, rows = pd.read_parquet(files[0]), pd.read_parquet(measured)
    found = table[(table["metric"] == "iou:q")]
    expected = rows.query("comparison == 'stable' and matrix == 'q'")["value"].mean()
    assert found["value"].item() == pytest.approx(expected)
    assert found["paper_value"].item() == 0.886 and found["n_layers"].item() == 2
    text = files[1].read_text()
    assert "(0.886)" in text and "| chance" in text
    first = files[2].read_bytes()
    tabulate_mask_iou([measured], [paper], "Title", {"m": "Model"}, "languages", files[0], files[1], files[2], {})
    assert files[2].read_bytes() == first


def test_the_figure_is_drawn_twice_alike(measured: Path, tmp_path: Path):
    figure = Figure(title="Overlap", draws="mask_iou", grids=["g"], matrix=None, projector="per_model", rank=None)
    names = [tmp_path / f"figure2.{kind}" for kind in ("parquet", "pdf", "png")]
    plot_mask_iou([measured], figure, "Model", names[0], names[1], names[2], {})
    bytes_before = [name.read_bytes() for name in names]
    plot_mask_iou([measured], figure, "Model", names[0], names[1], names[2], {})
    assert [name.read_bytes() for name in names] == bytes_before
    assert set(pq.read_table(names[0])["comparison"].to_pylist()) == {"seeds", "stable"}


def test_cells_that_cannot_be_compared_are_refused(tmp_path: Path):
    cells = [write_cell(tmp_path, variant["calibration"], variant["seed"]) for variant in variants()]
    with pytest.raises(UserError, match=r"m/sparsegpt/0.50: masks are compared over the same two or more seeds"):
        measure_mask_iou(cells[:-1], variants()[:-1], tmp_path / "x.parquet", {})
    cells[-1] = write_cell(tmp_path, "en", 2, layers=1)
    with pytest.raises(UserError, match="has other matrices than the cells it is compared with"):
        measure_mask_iou(cells, variants(), tmp_path / "x.parquet", {})
    assert layer_of("model.layers.17.mlp.up_proj") == 17
