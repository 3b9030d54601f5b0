"""Cells: exact round trips, resuming, and the reader that the docstring promises."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.helpers.cells import kept_of
from tests.helpers.engine import run_engine
from tests.helpers.tiny import random_model, random_tokens, save_checkpoint
from torch import Tensor

from polyprune.artifacts.cell_notes import notes_on
from polyprune.artifacts.cells import CellReader, finished_layer, join_layers, save_layer
from polyprune.artifacts.tensors import save_arrays
from polyprune.artifacts.weights import QuantisedWeight, SparseWeight
from polyprune.errors import UserError
from polyprune.maths.gptq import gptq
from polyprune.maths.grids import GridSettings, dequantise, round_to_nearest
from polyprune.maths.packing import pack_bits
from polyprune.model.checkpoint import Checkpoint
from polyprune.model.export import export_weights

METADATA: dict[str, Any] = {"method": "wanda", "scheme": "0.50", "seed": 0, "settings": {"damping": 0.01, "list": [1]}}
DOCUMENT = Path(__file__).parents[2] / "docs" / "cells.md"
UP = "model.layers.0.mlp.up_proj"


def matrix(d_out: int, d_in: int, seed: int = 0, dtype: torch.dtype = torch.bfloat16) -> tuple[Tensor, Tensor]:
    """A weight matrix and a mask, of which one row keeps nothing and one everything."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(d_out, d_in, generator=generator).to(dtype)
    keep = torch.rand(d_out, d_in, generator=generator) < 0.5
    keep[0], keep[1] = False, True
    return weight, keep


def test_a_mask_keeps_the_dense_weights_and_a_changed_matrix_its_own():
    weight, keep = matrix(4, 5)
    changed = weight * 2
    masked = SparseWeight.of(weight, keep, changed=False)
    updated = SparseWeight.of(changed, keep, changed=True)
    assert masked.values is None
    assert updated.values is not None
    assert updated.values.tolist() == [changed[r, c] for r in range(4) for c in range(5) if keep[r, c]]
    assert torch.equal(masked.dense(weight), weight * keep)
    assert torch.equal(updated.dense(weight), changed * keep)


@pytest.mark.parametrize("d_in", [8, 13, 1, 64])
@pytest.mark.parametrize("changed", [False, True], ids=["mask", "weights"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_cells_come_back_exactly(tmp_path: Path, d_in: int, changed: bool, dtype: torch.dtype):
    names = ["m.0.q", "m.0.k", "m.1.q"]
    originals = {name: matrix(5, d_in + index, index, dtype) for index, name in enumerate(names)}
    kept = {name: SparseWeight.of(weight, keep, changed) for name, (weight, keep) in originals.items()}
    folder, path = tmp_path / "cell.layers", tmp_path / "cell"
    save_layer(folder, 0, {name: kept[name] for name in names[:2]}, METADATA)
    save_layer(folder, 1, {}, METADATA)
    save_layer(folder, 2, {names[2]: kept[names[2]]}, METADATA)
    join_layers(folder, 3, path, METADATA)

    reader = CellReader(path)
    assert reader.columns == {"m.0.q": d_in, "m.0.k": d_in + 1, "m.1.q": d_in + 2}
    removed = {name: [int((~keep).sum()), keep.numel()] for name, (_, keep) in originals.items()}
    assert reader.metadata == {**METADATA, "columns": reader.columns, "removed": removed, "allowances": {}}
    assert reader.weight("m.1.k") is None
    for name, (weight, keep) in originals.items():
        found = kept_of(reader, name)
        assert torch.equal(found.keep, keep)
        assert torch.equal(found.dense(weight), weight * keep)
        assert (found.values is None) == (not changed)
        assert not changed or (found.values is not None and found.values.dtype == dtype)
    assert [file.name for file in tmp_path.iterdir()] == ["cell"], "finished layers are gone"


def documented_readers() -> dict[str, Any]:
    """The functions of docs/cells.md, whose snippets have at most ten lines each, but for imports."""
    snippets = re.findall(
        r"^```python\n(.*?)^```", DOCUMENT.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    assert len(snippets) == 3
    values: dict[str, Any] = {}
    for snippet in snippets:
        assert len(re.findall(r"^(?!from |import )\s*\S", snippet, flags=re.MULTILINE)) <= 10
        exec(snippet, values)
    return values


@pytest.mark.parametrize("d_in", [13, 32])
@pytest.mark.parametrize("changed", [False, True], ids=["mask", "weights"])
def test_the_documented_reader_reads_pruned_cells(changed: bool, d_in: int, tmp_path: Path):
    dense, keep = matrix(6, d_in)
    weight = dense * 2 if changed else dense
    save_layer(tmp_path / "parts", 0, {UP: SparseWeight.of(weight, keep, changed)}, METADATA)
    join_layers(tmp_path / "parts", 1, tmp_path / "cell", METADATA)
    found = documented_readers()["pruned"](tmp_path / "cell", UP, dense)
    assert torch.equal(found, weight * keep) and found.dtype == torch.bfloat16


@pytest.mark.parametrize("d_in", [13, 32])
@pytest.mark.parametrize("bits", [3, 4, 8])
@pytest.mark.parametrize("act_order", [False, True])
def test_the_documented_reader_reads_quantised_cells(act_order: bool, bits: int, d_in: int, tmp_path: Path):
    """With groups of neighbours, and with others."""
    dense, _ = matrix(6, d_in)
    x = torch.randn(50, d_in, generator=torch.Generator().manual_seed(1))
    (quantised,) = gptq([dense], x.T @ x, 0.01, GridSettings(bits, 8, symmetric=False, act_order=act_order), "a test")
    save_layer(tmp_path / "parts", 0, {UP: QuantisedWeight(quantised, bits, 8)}, METADATA)
    join_layers(tmp_path / "parts", 1, tmp_path / "cell", METADATA)
    ours = CellReader(tmp_path / "cell").weight(UP)
    assert ours is not None
    found = documented_readers()["quantised"](tmp_path / "cell", UP, dense)
    assert torch.equal(found, ours.dense(dense)) and torch.equal(found, dequantise(quantised, torch.bfloat16))


def test_the_documented_reader_reads_cells_with_scaled_columns(tmp_path: Path):
    dense, _ = matrix(6, 32)
    grid = round_to_nearest(dense, GridSettings(4, 8, symmetric=False))
    scaled = QuantisedWeight(replace(grid, column_scales=torch.linspace(0.5, 2, 32)), 4, 8)
    save_layer(tmp_path / "parts", 0, {UP: scaled}, METADATA)
    join_layers(tmp_path / "parts", 1, tmp_path / "cell", METADATA)
    assert torch.equal(documented_readers()["quantised"](tmp_path / "cell", UP, dense), scaled.dense(dense))


def test_the_documented_training_holds_the_mask(tmp_path: Path):
    """In float32: weights that were removed stay 0, all others move."""
    checkpoint = save_checkpoint(random_model("llama"), tmp_path / "model")
    cell = run_engine(checkpoint, random_tokens(4, 16), "wanda", "0.50", tmp_path / "cell.safetensors")
    (tmp_path / "export").mkdir()
    export_weights(Checkpoint(checkpoint), cell, tmp_path / "export")
    (tmp_path / "export" / "config.json").write_text((checkpoint / "config.json").read_text())
    before = load_file(tmp_path / "export" / "model.safetensors")
    model = documented_readers()["trained"](tmp_path / "export", [random_tokens(2, 16)] * 3, 1e-2)
    for name in cell.columns:
        weight, keep = model.get_parameter(f"{name}.weight").detach(), kept_of(cell, name).keep
        assert not weight[~keep].any() and (weight != before[f"{name}.weight"])[keep].float().mean() > 0.99


def test_the_file_is_as_documented(tmp_path: Path):
    weight, keep = matrix(6, 13)
    save_layer(tmp_path / "parts", 0, {UP: SparseWeight.of(weight, keep, changed=True)}, METADATA)
    join_layers(tmp_path / "parts", 1, tmp_path / "cell", METADATA)
    tensors = load_file(tmp_path / "cell")
    assert set(tensors) == {f"{UP}.keep", f"{UP}.values"}
    assert tensors[f"{UP}.keep"].shape == (6, 2)
    assert tensors[f"{UP}.keep"].dtype == torch.uint8
    assert torch.equal(tensors[f"{UP}.keep"], pack_bits(keep))
    assert torch.equal(tensors[f"{UP}.values"], weight[keep])


def test_same_cell_same_bytes_however_it_was_interrupted(tmp_path: Path):
    weight, keep = matrix(6, 13)
    for name in "xy":
        for layer in range(2):
            kept = {f"m.{layer}.{part}": SparseWeight.of(weight, keep, changed=True) for part in "qkvo"}
            save_layer(tmp_path / f"{name}.layers", layer, kept, METADATA)
    (tmp_path / "y.layers" / "layer-001.safetensors.0123456789abcdef-1-01234567.part").write_bytes(
        b"left by a killed job"
    )
    (tmp_path / "y.layers" / "layer-002.safetensors").write_bytes(b"left by a job on a deeper model")
    for name in "xy":
        join_layers(tmp_path / f"{name}.layers", 2, tmp_path / name, METADATA)
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["x", "y"]


def test_a_finished_layer_is_taken_over_only_by_the_same_job(tmp_path: Path):
    weight, keep = matrix(6, 13)
    save_layer(tmp_path, 3, {UP: SparseWeight.of(weight, keep, changed=False)}, METADATA)
    found = finished_layer(tmp_path, 3, dict(reversed(list(METADATA.items()))))
    assert found is not None
    kept = kept_of(found, UP)
    assert torch.equal(kept.keep, keep)
    assert finished_layer(tmp_path, 2, METADATA) is None
    assert finished_layer(tmp_path / "no", 3, METADATA) is None
    assert finished_layer(tmp_path, 3, {**METADATA, "seed": 1}) is None
    assert finished_layer(tmp_path, 3, {**METADATA, "more": 1}) is None
    assert finished_layer(tmp_path, 3, {key: value for key, value in METADATA.items() if key != "seed"}) is None


def test_files_that_are_no_cells_are_refused(tmp_path: Path):
    save_arrays(tmp_path / "x", "tokens/3", {}, {"method": "wanda"})
    with pytest.raises(UserError, match=rf"^{tmp_path}/x is of kind tokens/3, expected cell/2; delete it and make"):
        CellReader(tmp_path / "x")
    with pytest.raises(UserError, match=rf"^{tmp_path}/no does not exist$"):
        CellReader(tmp_path / "no")


def write(path: Path, keep: Tensor, **about: Any) -> CellReader:
    """A cell of one matrix with this mask."""
    metadata = METADATA | about
    save_layer(path.with_suffix(".layers"), 0, {UP: SparseWeight.of(torch.ones(keep.shape), keep, False)}, metadata)
    join_layers(path.with_suffix(".layers"), 1, path, metadata)
    return CellReader(path)


def without_columns(d_out: int, d_in: int, n: int) -> Tensor:
    """A mask that keeps nothing of the first n inputs."""
    keep = torch.ones(d_out, d_in, dtype=torch.bool)
    keep[:, :n] = False
    return keep


@pytest.mark.parametrize(
    ("scheme", "n_empty", "sparsities"),
    [("0.50", 32, None), ("0.50", 33, None), ("0.50", 31, None), ("2of4", 32, None), ("0.70-owl", 12, [0.2])],
)
def test_a_share_as_the_scheme_or_owl_says_needs_no_allowance(
    tmp_path: Path, scheme: str, n_empty: int, sparsities: list[float] | None
):
    """To within one weight a row and one a column."""
    more = {"layer_sparsities": sparsities} if sparsities else {}
    cell = write(tmp_path / "cell", without_columns(64, 64, n_empty), scheme=scheme, **more)
    assert cell.metadata["removed"] == {UP: [64 * n_empty, 64 * 64]}
    assert cell.metadata["allowances"] == {} and notes_on(cell.metadata) == []


def test_more_than_the_scheme_says_is_written_into_the_cell(tmp_path: Path):
    """As RIA does where inputs are always zero: everything that ties with the threshold goes."""
    cell = write(tmp_path / "cell", without_columns(64, 64, 55), method="ria")
    words = "0.8594 removed instead of 0.5000: weights of equal score go together; of 64 inputs 55 have no weight left"
    assert cell.metadata["allowances"] == {UP: words}
    assert notes_on(cell.metadata) == [f"{UP}: {words}"]
    assert notes_on({"allowances": {"b": "x", "a": "y"}}) == ["a: y (and 1 more matrices)"]


def test_less_than_the_scheme_says_is_refused_when_it_is_written(tmp_path: Path):
    with pytest.raises(UserError, match=rf"^{UP}: wanda removes a share of 0\.2500, scheme 0\.50 0\.5000$"):
        write(tmp_path / "cell", without_columns(64, 64, 16))


@pytest.mark.parametrize(("scheme", "sparsities"), [("0.20", None), ("0.80", None), ("0.50-owl", [0.7])])
def test_a_cell_of_another_sparsity_than_its_header_says_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str, sparsities: list[float] | None
):
    monkeypatch.setattr("polyprune.artifacts.cells.allowance", lambda *_: None)
    more = {"layer_sparsities": sparsities} if sparsities else {}
    refused = rf"{UP}, a share of 0\.5000 is removed, scheme {scheme} says 0\.[278]000; delete it and make"
    with pytest.raises(UserError, match=refused):
        write(tmp_path / "cell", without_columns(64, 64, 32), scheme=scheme, **more)


def test_a_mask_at_odds_with_its_header_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(SparseWeight, "removed", (2048, 4096))
    cell = write(tmp_path / "cell", without_columns(64, 64, 55))
    monkeypatch.undo()
    with pytest.raises(UserError, match=rf"of {UP}, 3520 of 4096 weights are removed, which is not what the"):
        cell.weight(UP)


def test_a_damaged_layer_of_a_killed_job_is_done_again(tmp_path: Path):
    weight, keep = matrix(6, 13)
    save_layer(tmp_path, 3, {UP: SparseWeight.of(weight, keep, changed=False)}, METADATA)
    path = tmp_path / "layer-003.safetensors"
    whole = path.read_bytes()
    for at in (20, len(whole) - 1):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert finished_layer(tmp_path, 3, METADATA) is None
    path.write_bytes(whole)
    assert finished_layer(tmp_path, 3, METADATA) is not None
