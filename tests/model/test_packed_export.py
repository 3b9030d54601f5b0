"""Quantised cells packed for other programs: read back to the bit; what a layout cannot hold is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.helpers.engine import run_engine
from tests.helpers.foreign import nibbles, packed, rows, stream
from tests.helpers.tiny import random_model, random_tokens, save_checkpoint

from polyprune.artifacts.cells import CellReader, join_layers, save_layer
from polyprune.artifacts.weights import QuantisedWeight
from polyprune.errors import UserError
from polyprune.grammar.layouts import PACKED
from polyprune.maths.grids import GridSettings, dequantise, round_to_nearest
from polyprune.maths.packed_words import pack_awq, pack_one_less, pack_stream, unpack_one_less
from polyprune.model.checkpoint import Checkpoint

SIZES: dict[str, Any] = {"hidden_size": 64, "intermediate_size": 96}


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 8])
def test_words_are_those_of_plain_python(bits: int) -> None:
    codes = torch.randint(0, 1 << bits, (7, 45), generator=torch.Generator().manual_seed(bits)).to(torch.uint8)
    assert torch.equal(pack_stream(codes, bits), rows(codes.tolist(), lambda row: stream(row, bits)))
    whole = codes[:, :32]
    assert torch.equal(unpack_one_less(pack_one_less(whole, bits), bits, 32), whole)
    if bits == 4:
        assert torch.equal(pack_awq(whole), rows(whole.tolist(), nibbles))


def model_in(folder: Path, shards: bool = False) -> Checkpoint:
    """A random model in float32."""
    return Checkpoint(save_checkpoint(random_model("llama", **SIZES), folder, shards=3 if shards else 1))


def cell_of(
    checkpoint: Checkpoint,
    path: Path,
    bits: int = 4,
    symmetric: bool = True,
    dense: str = "",
) -> CellReader:
    """Codes of all matrices but those of modules whose name ends in `dense`; scales that float16 holds."""
    found: dict[int, dict[str, QuantisedWeight]] = {}
    for name in checkpoint.file_of:
        module = name.removesuffix(".weight")
        if "_proj" not in name or (dense and module.endswith(dense)):
            continue
        grid = round_to_nearest(checkpoint.tensor(name), GridSettings(bits, 32, symmetric=symmetric))
        grid = replace(grid, scales=grid.scales.half().float())
        weight = QuantisedWeight(grid, bits, 32)
        found.setdefault(int(module.split(".")[2]), {})[module] = weight
    metadata = {"method": "rtn", "scheme": f"w{bits}g32", "calibration": "de", "seed": 0}
    for index in range(3):
        save_layer(path.with_suffix(".parts"), index, dict(found[index]), metadata)
    join_layers(path.with_suffix(".parts"), 3, path, metadata)
    return CellReader(path)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("layout", PACKED)
def test_what_is_packed_is_read_back_to_the_bit(layout: str, symmetric: bool, tmp_path: Path) -> None:
    """In shards, with a matrix of each layer left dense, which the configuration names."""
    checkpoint = model_in(tmp_path / "model", shards=True)
    cell = cell_of(checkpoint, tmp_path / "cell.safetensors", symmetric=symmetric, dense="up_proj")
    found = packed(checkpoint, cell, layout, tmp_path / layout)
    assert len(list((tmp_path / layout).glob("*.safetensors"))) > 2
    for name in cell.columns:
        ours, theirs = cell.weight(name), found.read(name)
        assert isinstance(ours, QuantisedWeight) and isinstance(theirs, QuantisedWeight)
        assert torch.equal(ours.grid.codes, theirs.grid.codes) and torch.equal(ours.grid.zeros, theirs.grid.zeros)
        assert torch.equal(dequantise(ours.grid), dequantise(theirs.grid))
    for name in checkpoint.file_of:
        if name.removesuffix(".weight") not in cell.columns:
            assert torch.equal(found.tensors.tensor(name), checkpoint.tensor(name))
    said = json.dumps(found.tensors.config["quantization_config"])
    assert said.count("up_proj") == 3 and "down_proj" not in said


def test_groups_of_scattered_columns_come_back_from_gptq_and_are_refused_by_others(tmp_path: Path) -> None:
    checkpoint = model_in(tmp_path / "model")
    settings = {"act_order": True, "static_groups": False, "symmetric": False, "damping": 0.01}
    path = tmp_path / "cell.safetensors"
    cell = run_engine(checkpoint.folder, random_tokens(4, 16), "gptq", "w4g32", path, gptq=settings)
    found = packed(checkpoint, cell, "gptq", tmp_path / "gptq")
    for name in cell.columns:
        ours, theirs = cell.weight(name), found.read(name)
        assert isinstance(ours, QuantisedWeight) and isinstance(theirs, QuantisedWeight)
        assert torch.equal(ours.grid.codes, theirs.grid.codes)
        assert torch.equal(ours.grid.group_of_column, theirs.grid.group_of_column)
        torch.testing.assert_close(dequantise(ours.grid), dequantise(theirs.grid), rtol=1e-3, atol=1e-7)
    for layout in ("awq", "compressed-tensors"):
        with pytest.raises(UserError, match=f"scattered columns .act order., which {layout} has not"):
            packed(checkpoint, cell, layout, tmp_path / layout)


def test_what_a_layout_cannot_hold_is_refused(tmp_path: Path) -> None:
    checkpoint = model_in(tmp_path / "model")
    pruned = run_engine(checkpoint.folder, random_tokens(4, 16), "wanda", "2of4", tmp_path / "pruned.safetensors")
    cells = {
        "is pruned, and packed are codes: no maintained reader takes packed masks": pruned,
        "is of 8 bits": cell_of(checkpoint, tmp_path / "wide.safetensors", bits=8),
    }
    for number, (message, cell) in enumerate(cells.items()):
        with pytest.raises(UserError, match=message):
            packed(checkpoint, cell, "awq", tmp_path / str(number))
