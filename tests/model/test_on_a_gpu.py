"""Jobs on a pretended GPU: nothing lies on the other device on its way, and what comes out is what the CPU makes.

The tests of all stages that compute can be run there, too: `pytest -p tests.helpers.on_a_gpu tests/stages …`.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from tests.helpers.engine import CPU, METHODS, run_engine
from tests.helpers.families import VOCABULARY, tiny_config, tiny_model
from tests.helpers.on_a_gpu import without_kernels
from tests.helpers.pretended_gpu import pretended_gpu
from tests.helpers.tiny import random_model, random_tokens, save_checkpoint
from tests.helpers.variants import ENGINE, RUN, cells_of, tiny_of_the_hub

from polyprune.artifacts import weights
from polyprune.artifacts.cells import CellReader
from polyprune.evaluation.packing import pack
from polyprune.evaluation.scoring import Weights, score_rows
from polyprune.model.checkpoint import Checkpoint
from polyprune.model.compression import apply_cell
from polyprune.model.decoder import Decoder
from polyprune.stages.count_activations import count_activations
from polyprune.stages.dump_hidden_states import dump_hidden_states
from polyprune.stages.dump_prompts import dump_prompts

SCHEMES = {"gptq": "w4g16", "awq": "w4g16"}
GRIDS = {
    "gptq": {"gptq": {"damping": 0.01, "symmetric": False, "act_order": True, "static_groups": True}},
    "awq": {"awq": {"symmetric": False, "clip": True, "duo_scaling": True, "foldable": False}},
}
NEARLY_ALL = 0.98
"""Of the first layer's masks and codes: a GPU's Gram matrices are added up in another order, and later ones follow."""


@pytest.fixture(autouse=True)
def plain_walks(monkeypatch: pytest.MonkeyPatch) -> None:
    without_kernels(monkeypatch)


def chosen(cell: CellReader) -> dict[str, np.ndarray]:
    """The masks or codes of the first layer, packed."""
    first = {name: cell.weight(name) for name in cell.columns if ".layers.0." in name}
    tensors = {name: weight.tensors() for name, weight in first.items() if weight is not None}
    return {name: of.get("keep", of.get("codes", torch.empty(0))).numpy() for name, of in tensors.items()}


def datasets_of(path: Path) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}

    def note(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with h5py.File(path) as file:
        file.visititems(note)
    return found


@pytest.mark.parametrize("method", METHODS)
def test_cells_are_the_cpus(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hidden states of the GPU's lie in host memory, in bfloat16 of SparseGPT's."""
    dtype = torch.bfloat16 if method == "sparsegpt" else torch.float32
    folder = save_checkpoint(random_model("llama", dtype=dtype), tmp_path / "model")
    asked = (folder, random_tokens(6, 16), method, SCHEMES.get(method, "0.50"))
    here = run_engine(*asked, tmp_path / "here.safetensors", **GRIDS.get(method, {}))
    with pretended_gpu(monkeypatch) as gpu:
        there = run_engine(*asked, tmp_path / "there.safetensors", offload=True, device=gpu, **GRIDS.get(method, {}))
    ours, theirs = chosen(there), chosen(here)
    assert ours.keys() == theirs.keys() and len(ours) == 7
    assert np.mean([np.mean(ours[name] == theirs[name]) for name in ours]) > NEARLY_ALL


@pytest.mark.parametrize(("method", "unpack"), [("sparsegpt", "unpack_bits"), ("gptq", "unpack_codes")])
def test_cells_are_unpacked_there(method: str, unpack: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not on one thread of a CPU that the GPU waits for; and what they say is what the CPU says."""
    folder = save_checkpoint(random_model("llama"), tmp_path / "model")
    asked = (folder, random_tokens(4, 16), method, SCHEMES.get(method, "0.50"))
    cell = run_engine(*asked, tmp_path / "cell.safetensors", **GRIDS.get(method, {}))
    places: list[torch.device] = []
    unpacked = getattr(weights, unpack)

    def note(packed: torch.Tensor, *how: int) -> torch.Tensor:
        places.append(packed.device)
        return unpacked(packed, *how)

    monkeypatch.setattr(weights, unpack, note)

    def compressed_layer(device: torch.device) -> torch.Tensor:
        decoder = Decoder(Checkpoint(folder), device)
        with decoder.loaded(0):
            apply_cell(decoder, 0, cell)
            return torch.cat([product.weights.flatten().cpu() for product in decoder.products(0)])

    expected = compressed_layer(CPU)
    with pretended_gpu(monkeypatch) as gpu:
        assert torch.equal(compressed_layer(gpu), expected)
    assert places == [CPU] * 7 + [gpu] * 7


def test_experts_are_seen_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_checkpoint(tiny_model(tiny_config("olmoe", num_hidden_layers=2)), tmp_path / "model")
    tokens = torch.from_numpy(np.random.default_rng(0).integers(2, VOCABULARY, (6, 16)))
    here = run_engine(folder, tokens, "wanda", "0.50", tmp_path / "here.safetensors")
    with pretended_gpu(monkeypatch) as gpu:
        there = run_engine(folder, tokens, "wanda", "0.50", tmp_path / "there.safetensors", device=gpu)
    ours, theirs = chosen(there), chosen(here)
    assert theirs and all(np.array_equal(ours[name], theirs[name]) for name in theirs)


def test_dumps_and_counts_are_the_cpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the dense model and of cells, which make a difference."""
    with tiny_of_the_hub(tmp_path) as model:
        cells = cells_of(model)

        def made(device: torch.device) -> list[Path]:
            paths = [tmp_path / f"{device.type}-{number}.h5" for number in range(5)]
            text, prompts = model.with_name("text.safetensors"), model.with_name("prompts.safetensors")
            dump_hidden_states(model, cells, [text], paths[:2], 4, device, ENGINE, RUN)
            dump_prompts(model, cells, [prompts], paths[2:4], device, ENGINE, RUN)
            count_activations(model, cells[:1], text, 24, paths[4], device, ENGINE, RUN)
            return paths

        here = made(CPU)
        with pretended_gpu(monkeypatch) as gpu:
            there = made(gpu)
    for ours, theirs in zip(map(datasets_of, there), map(datasets_of, here), strict=True):
        assert ours.keys() == theirs.keys()
        for name, expected in theirs.items():
            if expected.dtype.kind == "f":
                np.testing.assert_allclose(ours[name], expected, rtol=1e-3, atol=1e-5, err_msg=name)
            else:
                np.testing.assert_array_equal(ours[name], expected, err_msg=name)


@pytest.mark.parametrize("whole", [True, False])
def test_scores_are_the_cpus(whole: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_checkpoint(random_model("llama"), tmp_path / "model")
    cell = run_engine(folder, random_tokens(4, 16), "wanda", "0.50", tmp_path / "cell.safetensors")
    rows = pack([([5, 6, 7, 8], [9 + i, 3]) for i in range(4)] + [([11] * 9, [2])], 32)

    def scored(device: torch.device) -> list[float]:
        ready = Weights(Decoder(Checkpoint(folder), device), cell, whole)
        return [score.log_likelihood for score in score_rows(ready, rows, 5, 64)]

    with pretended_gpu(monkeypatch) as gpu:
        ours = scored(gpu)
    assert ours == pytest.approx(scored(CPU), abs=1e-4)


def test_what_lies_on_both_devices_is_refused_as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else none of this would show anything."""
    here = torch.ones(2, 2)
    with pretended_gpu(monkeypatch) as gpu:
        there = here.to(gpu)
        there += 1
        assert (there @ there).device == gpu and there[0].tolist() == [2, 2]
        assert torch.equal((there @ there).cpu(), torch.full((2, 2), 8.0)) and here.tolist() == [[1, 1], [1, 1]]
        for mistake in (
            lambda: there @ here,
            lambda: there.numpy(),
            lambda: torch.where(there > 1, there, here),
            lambda: torch.nn.functional.linear(there, here),
            lambda: here[there > 1],
            lambda: torch.randn(2, device=gpu, generator=torch.Generator()),
        ):
            with pytest.raises((RuntimeError, TypeError)):
                mistake()
