"""Overlap of the masks of cells on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from polyprune.artifacts.cells import EXPERTS, join_layers, layer_of, save_layer
from polyprune.artifacts.weights import SparseWeight
from polyprune.errors import UserError
from polyprune.stages.measure_mask_iou import measure_mask_iou

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
    about["calibration_digest"] = f"{calibration} {seed}"
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


def test_cells_that_cannot_be_compared_are_refused(tmp_path: Path):
    cells = [write_cell(tmp_path, variant["calibration"], variant["seed"]) for variant in variants()]
    with pytest.raises(UserError, match=r"m/sparsegpt/0.50: masks are compared over the same two or more seeds"):
        measure_mask_iou(cells[:-1], variants()[:-1], tmp_path / "x.parquet", {})
    cells[-1] = write_cell(tmp_path, "en", 2, layers=1)
    with pytest.raises(UserError, match="has other matrices than the cells it is compared with"):
        measure_mask_iou(cells, variants(), tmp_path / "x.parquet", {})
    assert layer_of("model.layers.17.mlp.up_proj") == 17


def test_masks_of_whole_experts_are_called_so_whatever_their_module_is(tmp_path: Path) -> None:
    cells, named = [], []
    for seed in (0, 1):
        path = tmp_path / str(seed) / "mask.safetensors"
        about = {"method": "reap", "scheme": "0.25", "calibration": "de", "seed": seed, "model_digest": "d"}
        about |= {"calibration_digest": "c", "unit": EXPERTS}
        keep = torch.tensor([[True, True, True, False]])
        save_layer(path.with_suffix(".layers"), 0, {"model.layers.0.moe": SparseWeight(keep, None)}, about)
        join_layers(path.with_suffix(".layers"), 1, path, about)
        cells.append(path)
        named.append({"model": "m", "method": "reap", "scheme": "0.25", "calibration": "de", "seed": seed})
    measure_mask_iou(cells, named, tmp_path / "iou.parquet", {})
    assert set(pd.read_parquet(tmp_path / "iou.parquet")["matrix"]) == {"experts"}
