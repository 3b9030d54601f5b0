"""Routers and gates of shared experts, compressed because that was asked for, against a plain reading in float64."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.helpers.cells import arguments, kept_of, register
from tests.helpers.engine import CPU, run_engine
from tests.helpers.families import VOCABULARY, tiny_config, tiny_model
from tests.helpers.tiny import save_checkpoint
from tests.helpers.tried import compared, loaded, their_logits, walk_through
from torch import Tensor

from polyprune.artifacts.cells import CellReader
from polyprune.errors import UserError
from polyprune.model.checkpoint import Checkpoint
from polyprune.model.compression import compressed
from polyprune.model.decoder import Decoder
from polyprune.model.export import export_weights
from polyprune.model.packed_export import export_packed
from polyprune.running.run import run
from polyprune.settings.methods import Compression

FAMILIES = {
    "mixtral": ("mlp", "block_sparse_moe.gate"),
    "qwen2_moe": ("mlp", "mlp.gate"),
    "qwen3_moe": ("mlp", "mlp.gate"),
    "olmoe": ("mlp", "mlp.gate"),
    "deepseek_v3": ("mlp", "mlp.gate"),
    "glm4_moe": ("mlp", "mlp.gate"),
    "granitemoe": ("block_sparse_moe", "block_sparse_moe.router.layer"),
    "gpt_oss": ("mlp", "mlp.router"),
    "llama4_text": ("feed_forward", "feed_forward.router"),
}
"""The module of transformers that a layer's experts and router are in, and the router's name in the files."""
SHARED = "model.layers.1.mlp.shared_expert_gate"
TOKENS = torch.randint(2, VOCABULARY, (4, 24), generator=torch.Generator().manual_seed(0))


def model_in(folder: Path, name: str) -> Path:
    return save_checkpoint(tiny_model(tiny_config(name, num_hidden_layers=2)), folder)


def half_of(weight: Tensor, x: Tensor) -> Tensor:
    """WANDA-1 and WANDA-2: half of each row kept, ties by place."""
    order = (weight.abs() * x.square().sum(0).sqrt()).sort(dim=1, stable=True).indices
    return torch.ones_like(weight, dtype=torch.bool).scatter_(1, order[:, : weight.shape[1] // 2], False)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_router_is_compressed_from_what_its_block_is_handed(name: str, tmp_path: Path) -> None:
    """In the second layer, behind the first one as transformers reads it from the export; which routes as the cell."""
    folder, (block, router) = model_in(tmp_path / "model", name), FAMILIES[name]
    cell = run_engine(folder, TOKENS, "wanda", "0.50", tmp_path / "cell.safetensors", routers=True)
    export = tmp_path / "export"
    export.mkdir()
    export_weights(Checkpoint(folder), cell, export)
    (export / "config.json").write_text((folder / "config.json").read_text())

    theirs, before = (loaded(each, experts_implementation="eager").double() for each in (export, folder))
    layers, dense = (model.get_submodule("model.layers") for model in (theirs, before))
    layers.get_submodule("1").load_state_dict(dense.get_submodule("1").state_dict())
    seen: list[Tensor] = []
    layers.get_submodule(f"1.{block}").register_forward_pre_hook(lambda _, given: seen.append(given[0].flatten(0, 1)))
    with torch.inference_mode():
        theirs(input_ids=TOKENS, use_cache=False)
    stored = load_file(folder / "model.safetensors")
    expected = {f"model.layers.1.{router}"} | ({SHARED} if name == "qwen2_moe" else set())
    for full in expected:
        assert torch.equal(kept_of(cell, full).keep, half_of(stored[f"{full}.weight"].double(), seen[0])), full
    plain = run_engine(folder, TOKENS, "wanda", "0.50", tmp_path / "plain.safetensors")
    assert {full for full in set(cell.columns) - set(plain.columns) if full.startswith("model.layers.1.")} == expected
    ours = walk_through(Decoder(Checkpoint(folder), CPU), TOKENS, cell)
    assert compared(ours, their_logits(export, TOKENS)) == "exact" != compared(ours, their_logits(folder, TOKENS))


def test_a_layer_whose_router_a_cell_has_is_dense_again_afterwards(tmp_path: Path) -> None:
    folder = model_in(tmp_path / "model", "qwen2_moe")
    cell = run_engine(folder, TOKENS, "sparsegpt", "0.50", tmp_path / "cell.safetensors", routers=True)
    decoder = Decoder(Checkpoint(folder), CPU)
    with decoder.loaded(0) as layer:
        before = {name: value.clone() for name, value in layer.state_dict().items()}
        with compressed(decoder, 0, cell):
            changed = {name for name, value in layer.state_dict().items() if not torch.equal(value, before[name])}
        assert {"mlp.gate.weight", "mlp.shared_expert_gate.weight"} < changed
        assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())


def test_the_configuration_asks_for_it_and_packed_exports_refuse_it(tmp_path: Path) -> None:
    register(tiny_model(tiny_config("olmoe", num_hidden_layers=2)), tmp_path)
    cells = {}
    for choice in ("dense", "compressed"):
        cells[choice] = tmp_path / choice / "weights.safetensors"
        cells[choice].parent.mkdir()
        assert run(arguments(tmp_path, "gptq", "w4g16", cells[choice], routers=choice)) == 0
    dense, both = (set(CellReader(path).columns) for path in cells.values())
    assert both - dense == {"model.layers.0.mlp.gate", "model.layers.1.mlp.gate"} and dense < both
    with pytest.raises(UserError, match="has matrices that are no linear layers of their own"):
        export_packed(Checkpoint(tmp_path / "checkpoint"), CellReader(cells["compressed"]), "gptq", tmp_path)
    assert Compression(routers="compressed").read_by("reap", "0.25") == Compression().read_by("reap", "0.25")
