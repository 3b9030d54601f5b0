"""Cells from checkpoints of others: the same weights, and what of them is not the dense model's told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.helpers.engine import CPU, run_engine
from tests.helpers.foreign import Codes, Tensors, compressed_tensors, stream, write_folder
from tests.helpers.tiny import random_model, random_tokens, save_checkpoint
from torch import Tensor
from transformers import PreTrainedModel
from transformers.models.auto import AutoModelForCausalLM

from polyprune.artifacts.cell_notes import notes_on
from polyprune.artifacts.cells import CellReader
from polyprune.artifacts.identity import calibration_texts
from polyprune.artifacts.verify import check
from polyprune.artifacts.weights import QuantisedWeight, SparseWeight
from polyprune.errors import UserError
from polyprune.evaluation.scoring import Weights
from polyprune.model.checkpoint import Checkpoint, open_model
from polyprune.model.compression import apply_cell, compressed
from polyprune.model.decoder import Decoder
from polyprune.model.export import export_weights
from polyprune.model.foreign.files import write_checkpoint_manifest
from polyprune.model.source import read_manifest, write_manifest
from polyprune.stages.import_cell import import_cell

UP = "model.layers.1.mlp.up_proj"
NORM = "model.layers.2.input_layernorm.weight"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifest of a model of three layers."""
    folder = tmp_path_factory.mktemp("model") / "results" / "m"
    checkpoint = save_checkpoint(random_model("llama", intermediate_size=64), folder / "checkpoint")
    write_manifest(folder / "model.json", {"kind": "folder", "path": str(checkpoint)}, checkpoint, {})
    return folder / "model.json"


def weights_of(model: Path) -> Tensors:
    return load_file(model.parent / "checkpoint" / "model.safetensors")


def matrices_of(weights: Tensors) -> list[str]:
    return [name.removesuffix(".weight") for name in weights if "_proj." in name]


def bring(
    model: Path, folder: Path, method: str, scheme: str, updates: bool = True, seed: int = 0, pickles: bool = False
) -> CellReader:
    """The cell as the rules have it made, in a place of its own."""
    place = model.parent / f"{method}@tool" / scheme / "de" / f"seed{seed}"
    source = {"kind": "folder", "path": str(folder), "pickles": pickles}
    write_checkpoint_manifest(place / "checkpoint.json", source, folder, {})
    name = {"method": f"{method}@tool", "scheme": scheme, "calibration": "de", "seed": seed, "code": "abc"}
    output = place / ("weights.safetensors" if updates else "mask.safetensors")
    import_cell(model, place / "checkpoint.json", name["method"], scheme, "de", seed, updates, output, name)
    assert not output.with_name(output.name + ".layers").exists()
    check(output, model.parents[1])
    return CellReader(output)


def pruned(weights: Tensors, share: float = 0.5, change: Callable[[Tensor], Tensor] = lambda kept: kept) -> Tensors:
    """The smaller weights of each row are 0, the others changed."""
    found = dict(weights)
    for name in matrices_of(weights):
        weight = weights[name + ".weight"]
        smallest = weight.abs().argsort(dim=1)[:, : int(share * weight.shape[1])]
        found[name + ".weight"] = change(weight).scatter(1, smallest, 0.0)
    return found


def used(model: Path, cell: CellReader) -> dict[str, Tensor]:
    """The layers' parameters with the cell applied, by name."""
    decoder, found = Decoder(open_model(model), CPU), {}
    for index, layer in decoder.walk(keep=True):
        apply_cell(decoder, index, cell)
        found |= {f"model.layers.{index}.{name}": tensor for name, tensor in layer.state_dict().items()}
    return found


def in_layers(weights: Tensors) -> Tensors:
    return {name: tensor for name, tensor in weights.items() if ".layers." in name}


def assert_equal(found: Tensors, wanted: Tensors) -> None:
    assert set(found) == set(wanted)
    assert [name for name in wanted if not torch.equal(found[name], wanted[name])] == []


def test_zeros_are_a_mask_and_kept_weights_the_dense_ones(model: Path, tmp_path: Path) -> None:
    stored = pruned(weights_of(model))
    cell = bring(model, write_folder(tmp_path, stored), "wanda", "0.50", updates=False)
    assert_equal(used(model, cell), in_layers(stored))
    for name in matrices_of(stored):
        assert np.array_equal(
            cell.packed_keep(name), np.packbits(stored[name + ".weight"].numpy() != 0, axis=1, bitorder="little")
        )
        weight = cell.weight(name)
        assert isinstance(weight, SparseWeight) and weight.values is None
    assert notes_on(cell.metadata) == [] and "differences" not in cell.metadata
    assert cell.metadata["model_digest"] == read_manifest(model)["digest"]
    about = cell.metadata["checkpoint"]
    assert calibration_texts([cell.metadata]) == {"checkpoint wanda@tool 0.50 de seed0": about["digest"]}


def test_what_our_engine_exports_comes_back_as_it_was(model: Path, tmp_path: Path) -> None:
    """SparseGPT's cell, written as a folder and read again: mask and values bit for bit."""
    ours = run_engine(
        model.parent / "checkpoint", random_tokens(4, 16), "sparsegpt", "2of4", tmp_path / "ours.safetensors"
    )
    folder = tmp_path / "exported"
    folder.mkdir()
    export_weights(Checkpoint(model.parent / "checkpoint"), ours, folder)
    theirs = bring(model, folder, "sparsegpt", "2of4")
    for name in ours.columns:
        a, b = ours.weight(name), theirs.weight(name)
        assert isinstance(a, SparseWeight) and isinstance(b, SparseWeight)
        assert torch.equal(a.keep, b.keep) and torch.equal(a.values, b.values)  # type: ignore[arg-type]


def test_kept_weights_that_are_not_the_dense_ones_are_kept_and_told(model: Path, tmp_path: Path) -> None:
    """Of a method that leaves them as they are; SparseGPT changes them."""
    stored = pruned(weights_of(model), change=lambda weight: weight + 0.25)
    folder = write_folder(tmp_path, stored)
    cell = bring(model, folder, "wanda", "0.50", updates=False, seed=1)
    assert_equal(used(model, cell), in_layers(stored))
    (note,) = notes_on(cell.metadata)
    assert note.startswith("kept weights that are not the dense model's: 21 tensors, most in model.layers.")
    assert "weight [16, 32] (in 256 of 512 weights, by at most 0.25); " in note and note.endswith(
        "leaves kept weights as they are"
    )
    about = cell.metadata["differences"][UP + ".weight"]
    assert about == {"shape": [64, 32], "differ": 1024, "of": 2048, "largest": pytest.approx(0.25)}
    assert notes_on(bring(model, folder, "sparsegpt", "0.50", seed=1).metadata) == []


def test_weights_in_fewer_bits_are_the_checkpoints(model: Path, tmp_path: Path) -> None:
    """bfloat16 beside a float32 model: rounding is no difference, but the cell has the rounded weights, and norms."""
    stored = {name: tensor.bfloat16() for name, tensor in pruned(weights_of(model)).items()}
    cell = bring(model, write_folder(tmp_path, stored), "wanda", "0.50", updates=False, seed=2)
    assert_equal(used(model, cell), in_layers({name: tensor.float() for name, tensor in stored.items()}))
    (note,) = notes_on(cell.metadata)
    assert note == (
        "the checkpoint has lm_head.weight [97, 32], model.embed_tokens.weight [97, 32], model.norm.weight [32] "
        "rounded to fewer bits, and the cell the dense model's"
    )


def test_what_lies_beside_the_matrices(model: Path, tmp_path: Path) -> None:
    """A norm of a layer is the cell's; embedding and more are told of."""
    stored = pruned(weights_of(model))
    stored[NORM] = stored[NORM] * 2
    stored["model.embed_tokens.weight"] = stored["model.embed_tokens.weight"].clone()
    stored["model.embed_tokens.weight"][5, 3] += 0.5
    stored["model.norm.weight"] = torch.ones(33)
    del stored["lm_head.weight"]
    stored["adapter.weight"] = torch.ones(2, 3)
    cell = bring(model, write_folder(tmp_path, stored), "wanda", "0.50", updates=False, seed=3)
    assert_equal(used(model, cell), in_layers(stored))
    notes = notes_on(cell.metadata)
    assert notes[0].startswith(f"not the dense model's beside the matrices: 1 tensor, most in {NORM} [32] (in 32 of 32")
    assert notes[1] == (
        "not the dense model's outside of the layers: 1 tensor, most in model.embed_tokens.weight [97, 32] (in 1 of "
        "3,104 weights, by at most 0.5); the cell has the dense model's"
    )
    assert notes[2] == "the checkpoint lacks lm_head.weight [97, 32], and the cell has the dense model's"
    assert "adapter.weight [2, 3]" in notes[3] and "model.norm.weight in another shape" in notes[3]
    assert cell.metadata["differences"]["model.embed_tokens.weight"] | {"largest": 0} == {
        "shape": [97, 32], "differ": 1, "of": 97 * 32, "largest": 0,
    }  # fmt: skip
    assert cell.metadata["beside"] == {NORM: {"shape": [32]}}
    assert "differences" not in cell.brief and "beside" not in cell.brief and cell.brief["notes"] == notes


def test_a_norm_of_the_cell_is_there_within_and_gone_afterwards_and_exported(model: Path, tmp_path: Path) -> None:
    stored = pruned(weights_of(model))
    stored[NORM] = stored[NORM] * 2
    cell = bring(model, write_folder(tmp_path / "theirs", stored), "wanda", "0.50", updates=False, seed=4)
    decoder = Decoder(open_model(model), CPU)
    with decoder.loaded(2) as layer:
        before = layer.state_dict()["input_layernorm.weight"].clone()
        with compressed(decoder, 2, cell):
            assert torch.equal(layer.state_dict()["input_layernorm.weight"], stored[NORM])
        assert torch.equal(layer.state_dict()["input_layernorm.weight"], before)
    export_weights(Checkpoint(model.parent / "checkpoint"), cell, tmp_path)
    assert_equal(load_file(tmp_path / "model.safetensors"), stored)
    weights = Weights(Decoder(open_model(model), CPU), cell, whole=True)
    assert torch.equal(weights.decoder.layers[2].state_dict()["input_layernorm.weight"], stored[NORM])


def test_sparsity_that_is_not_the_schemes_is_told(model: Path, tmp_path: Path) -> None:
    stored = pruned(weights_of(model), 0.25)
    stored[UP + ".weight"] = weights_of(model)[UP + ".weight"]
    folder = write_folder(tmp_path, stored)
    cell = bring(model, folder, "wanda", "0.50", updates=False, seed=5)
    assert len(cell.metadata["allowances"]) == 20 and UP not in cell.columns
    first, second = notes_on(cell.metadata)
    assert "0.2500 removed in the checkpoint, 0.5000 by the scheme (and 19 more matrices)" in first
    assert second == f"nothing is removed of or changed in {UP}"
    halves = pruned(weights_of(model))
    cell = bring(model, write_folder(tmp_path, halves), "wanda", "2of4", updates=False, seed=5)
    kept = (halves[UP + ".weight"] != 0).view(64, 8, 4).sum(2)
    said = f"{int((kept > 2).sum())} of 512 groups keep more than 2 of 4 in the checkpoint"
    assert cell.metadata["allowances"][UP] == said and int((kept > 2).sum()) > 0


def test_dense_ends(model: Path, tmp_path: Path) -> None:
    weights = weights_of(model)
    stored = pruned(weights) | {n: t for n, t in weights.items() if ".layers.0." in n or ".layers.2." in n}
    cell = bring(model, write_folder(tmp_path, stored), "wanda", "0.50-dense-ends", updates=False)
    assert {name.split(".")[2] for name in cell.columns} == {"1"} and notes_on(cell.metadata) == []
    assert_equal(used(model, cell), in_layers(stored))


def quantised(weights: Tensors, bits: int, size: int | None, leave: str = "") -> tuple[Tensors, Tensors]:
    """A folder's tensors and what they stand for; every matrix is random codes, but `leave`."""
    stored, meant = dict(weights), dict(weights)
    for seed, name in enumerate(matrices_of(weights)):
        if name != leave:
            d_out, d_in = stored.pop(name + ".weight").shape
            codes = Codes(d_out, d_in, bits, size, symmetric=False, seed=seed)
            stored |= {f"{name}.{part}": tensor for part, tensor in codes.packed(stream, asymmetric=True).items()}
            meant[name + ".weight"] = codes.weight
    return stored, meant


@pytest.mark.parametrize(("bits", "size", "scheme"), [(4, 16, "w4g16"), (3, 16, "w3g16"), (8, None, "w8channel")])
def test_codes_stay_codes(bits: int, size: int | None, scheme: str, model: Path, tmp_path: Path) -> None:
    stored, meant = quantised(weights_of(model), bits, size, leave=UP)
    folder = write_folder(tmp_path, stored, compressed_tensors("pack-quantized", bits, size))
    cell = bring(model, folder, "gptq", scheme)
    assert_equal(used(model, cell), in_layers(meant))
    assert cell.metadata["quantisation"] == {"bits": bits, "group_size": size}
    assert all(isinstance(cell.weight(name), QuantisedWeight) for name in cell.columns) and UP not in cell.columns
    assert notes_on(cell.metadata) == [f"{UP} have weights and no codes"]
    with pytest.raises(UserError, match=rf"has codes of scheme {scheme}, listed is w5g16: correct `scheme`"):
        bring(model, folder, "gptq", "w5g16")


def test_a_quantised_checkpoint_of_a_pruned_model_has_a_mask(model: Path, tmp_path: Path) -> None:
    """By its scheme: what is 0 after dequantising is removed, what is not keeps its value."""
    stored, meant = quantised(weights_of(model), 4, 16)
    folder = write_folder(tmp_path, stored, compressed_tensors("pack-quantized", 4, 16))
    cell = bring(model, folder, "sparsegpt", "0.50", seed=6)
    assert_equal(used(model, cell), in_layers(meant))
    assert "removed in the checkpoint, 0.5000 by the scheme" in notes_on(cell.metadata)[0]
    assert "kept weights are values of a grid of 4 bits" in notes_on(cell.metadata)[-1]


def test_plain_weights_under_a_scheme_of_codes_are_kept_and_told(model: Path, tmp_path: Path) -> None:
    stored, meant = quantised(weights_of(model), 4, 16, leave=UP)
    stored[UP + ".weight"] = meant[UP + ".weight"] = weights_of(model)[UP + ".weight"] + 1
    cell = bring(model, write_folder(tmp_path, stored, compressed_tensors("pack-quantized", 4, 16)), "awq", "w4g16")
    assert_equal(used(model, cell), in_layers(meant))
    assert f"{UP} have weights and no codes" in notes_on(cell.metadata)


def test_a_folder_of_transformers_in_shards_and_in_pickles(model: Path, tmp_path: Path) -> None:
    """The same cell, tensor by tensor, from one file, from several with an index, and from pickles."""
    theirs: PreTrainedModel = AutoModelForCausalLM.from_pretrained(model.parent / "checkpoint")
    stored = pruned(theirs.state_dict())
    theirs.load_state_dict(stored)
    theirs.save_pretrained(tmp_path / "shards", max_shard_size="20KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 3
    (tmp_path / "pickles").mkdir()
    torch.save(stored, tmp_path / "pickles" / "pytorch_model.bin")
    cells = [
        bring(model, tmp_path / "shards", "wanda", "0.50", updates=False, seed=7),
        bring(model, tmp_path / "pickles", "wanda", "0.50", updates=False, seed=8, pickles=True),
    ]
    for cell in cells:
        assert_equal(used(model, cell), in_layers(stored))


@pytest.mark.parametrize("more", [0, 1])
def test_a_head_that_is_the_embedding_and_biases_of_0_are_not_told(more: int, tmp_path: Path) -> None:
    folder = tmp_path / "results" / "m"
    checkpoint = save_checkpoint(random_model("llama", tie_word_embeddings=True), folder / "checkpoint")
    write_manifest(folder / "model.json", {"kind": "folder", "path": str(checkpoint)}, checkpoint, {})
    stored = pruned(weights_of(folder / "model.json"))
    head = {"lm_head.weight": stored["model.embed_tokens.weight"].half() + more, f"{UP}.bias": torch.zeros(64) + more}
    cell = bring(folder / "model.json", write_folder(tmp_path, stored | head), "wanda", "0.50", updates=False)
    assert [f"lm_head.weight [97, 32], {UP}.bias [64]" in note for note in notes_on(cell.metadata)] == [True] * more


WRONG: dict[str, tuple[Callable[[Tensors], Any], str]] = {
    "a matrix is missing": (lambda stored: stored.pop(UP + ".weight"), f"has no tensor {UP}.weight"),
    "another shape": (lambda stored: stored.update({UP + ".weight": torch.ones(3, 4)}), r"is \[3, 4\], and \[64, 32\]"),
    "not finite": (lambda stored: stored[UP + ".weight"].fill_(float("nan")), "values that are not finite"),
    "no weights": (lambda stored: stored.update({UP + ".weight": torch.ones(64, 32).to(torch.int8)}), "stored as int8"),
    "a norm is missing": (lambda stored: stored.pop(NORM), f"has no tensor {NORM}"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_of_another_model_is_refused_by_name(wrong: str, model: Path, tmp_path: Path) -> None:
    change, said = WRONG[wrong]
    stored: Tensors = {name: tensor.clone() for name, tensor in pruned(weights_of(model)).items()}
    change(stored)
    with pytest.raises(UserError, match=said):
        bring(model, write_folder(tmp_path, stored), "wanda", "0.50", updates=False, seed=9)
