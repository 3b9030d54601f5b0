"""Counts of who is sent to which expert, against the routers of transformers' own forward; families of all layouts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.helpers.engine import CPU, run_engine
from tests.helpers.families import VOCABULARY, tiny_config, tiny_model
from tests.helpers.tiny import random_model, save_checkpoint
from tests.helpers.tried import loaded
from torch import Tensor, nn

from polyprune.errors import UserError
from polyprune.model.checkpoint import Checkpoint
from polyprune.model.decoder import Decoder
from polyprune.model.export import export_weights
from polyprune.model.routing import routing_pass

PER_EXPERT = ("mixtral", "qwen3_moe", "olmoe", "deepseek_v3")
FUSED = ("granitemoe", "gpt_oss", "llama4_text")
"""By how their files hold experts: a matrix each, or a stack."""
TOKENS = torch.randint(2, VOCABULARY, (5, 24), generator=torch.Generator().manual_seed(1))


def tiny(name: str, folder: Path) -> Path:
    return save_checkpoint(tiny_model(tiny_config(name)), folder)


@torch.inference_mode()
def theirs(folder: Path, tokens: Tensor) -> dict[int, list[int]]:
    """How often each expert of each layer is chosen, by the outputs of the modules that transformers calls routers."""
    model, found = loaded(folder), dict[int, list[int]]()

    def note(layer: int) -> Any:
        def hook(_: nn.Module, __: Any, output: tuple[Tensor, ...]) -> None:
            logits, chosen = output[0], output[-1]
            if chosen.is_floating_point():  # Llama 4's last output are the scores of all
                logits, chosen = chosen, chosen.topk(2, dim=-1).indices
            found[layer] = torch.bincount(chosen.flatten(), minlength=logits.shape[-1]).tolist()

        return hook

    for name, module in model.named_modules():
        if type(module).__name__.endswith(("Router", "TopkRouter")):
            module.register_forward_hook(note(int(name.split("layers.")[1].split(".")[0])))
    model(input_ids=tokens, use_cache=False)
    return found


def ours(folder: Path, cell: Any = None, batch: int = 2) -> dict[int, list[int]]:
    routed = routing_pass(Decoder(Checkpoint(folder), CPU), TOKENS, cell, batch)
    return {layer: each.counts.tolist() for layer, each in routed.items()}


@pytest.mark.parametrize("name", [*PER_EXPERT, *FUSED])
def test_counts_are_those_of_the_families_own_routers(name: str, tmp_path: Path) -> None:
    folder = tiny(name, tmp_path / "model")
    stored = load_file(folder / "model.safetensors")
    stacked = any((tensor.dim() == 3 and "expert" in key) or "_linear" in key for key, tensor in stored.items())
    assert stacked == (name in FUSED)
    expected = theirs(folder, TOKENS)
    assert expected and ours(folder) == expected
    assert any(len(set(counts)) > 1 for counts in expected.values())


def test_states_that_overflow_are_refused(tmp_path: Path) -> None:
    """A router sends what is not a number to some expert, too."""
    model = tiny_model(tiny_config("olmoe")).half()
    with torch.no_grad():
        model.state_dict()["model.layers.1.self_attn.o_proj.weight"].fill_(6e4)
    with pytest.raises(UserError, match="hidden states overflow, and are sent to any expert"):
        ours(save_checkpoint(model, tmp_path))


def test_a_cell_is_counted_with_its_own_weights_and_states(tmp_path: Path) -> None:
    """Against transformers with the cell's export: routers are as they were, what they read is not."""
    folder = tiny("qwen3_moe", tmp_path / "model")
    cell = run_engine(folder, TOKENS, "wanda", "0.80", tmp_path / "cell.safetensors")
    export = tmp_path / "export"
    export.mkdir()
    export_weights(Checkpoint(folder), cell, export)
    (export / "config.json").write_text((folder / "config.json").read_text())
    assert ours(folder, cell) == theirs(export, TOKENS) != ours(folder)


def test_nobody_is_removed_from_a_model_whose_experts_all_stay(tmp_path: Path) -> None:
    routed = routing_pass(Decoder(Checkpoint(tiny("olmoe", tmp_path / "model")), CPU), TOKENS, None, 3)
    assert all(not each.removed.any() and each.counts.sum() == 2 * TOKENS.numel() for each in routed.values())
    assert all(np.issubdtype(each.counts.dtype, np.integer) for each in routed.values())


def test_a_model_without_experts_is_refused(tmp_path: Path) -> None:
    folder = save_checkpoint(random_model("llama"), tmp_path / "model")
    with pytest.raises(UserError, match="LlamaForCausalLM has no experts whose tokens could be counted"):
        ours(folder)
