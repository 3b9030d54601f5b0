"""Configurations that families allow and few models have, end to end: cell, dump, export, as transformers has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from tests.helpers.dumps import dump_text
from tests.helpers.engine import CPU, run_engine
from tests.helpers.families import VOCABULARY, tiny_config, tiny_model
from tests.helpers.tiny import save_checkpoint
from tests.helpers.tried import compared, their_logits, walk_through
from torch.nn.functional import cross_entropy

from polyprune.model.checkpoint import Checkpoint
from polyprune.model.decoder import Decoder
from polyprune.model.export import export_weights
from polyprune.model.probing import probe_folder

GPTQ = {"damping": 0.1, "symmetric": True, "act_order": False, "static_groups": False, "true_sequential": True}
ODD: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "a projection before the head, as OPT-350m": (
        "opt", {"word_embed_proj_dim": 16, "do_layer_norm_before": False}, "sparsegpt", "2of4",
    ),
    "latent attention without a narrow query, products left out one by one": (
        "deepseek_v2",
        {
            "q_lora_rank": None, "n_routed_experts": 6, "topk_method": "group_limited_greedy", "n_group": 2,
            "topk_group": 1,
        },
        "gptq", "w4g4",
    ),
    "heads wider than the model, one for keys and values": (
        "qwen3", {"head_dim": 24, "num_key_value_heads": 1, "tie_word_embeddings": True}, "sparsegpt", "0.50",
    ),
    "experts in some layers, an odd number of them": (
        "qwen2_moe",
        {"mlp_only_layers": [0, 2], "num_experts": 5, "num_experts_per_tok": 3, "shared_expert_intermediate_size": 20},
        "wanda", "0.50",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_logits_and_losses_are_those_of_transformers(name: str, tmp_path: Path) -> None:
    model_type, changes, method, scheme = ODD[name]
    folder = save_checkpoint(tiny_model(tiny_config(model_type, **changes)), tmp_path / "model")
    tokens = torch.randint(2, VOCABULARY, (4, 24), generator=torch.Generator().manual_seed(0))
    probe_folder(folder, None, "cpu")
    cell = run_engine(folder, tokens, method, scheme, tmp_path / "cell.safetensors", gptq=GPTQ)
    (tmp_path / "export").mkdir()
    export_weights(Checkpoint(folder), cell, tmp_path / "export")
    (tmp_path / "export" / "config.json").write_text((folder / "config.json").read_text())
    dense, pruned = (their_logits(each, tokens) for each in (folder, tmp_path / "export"))
    assert compared(walk_through(Decoder(Checkpoint(folder), CPU), tokens), dense) == "exact"
    assert compared(walk_through(Decoder(Checkpoint(folder), CPU), tokens, cell), pruned) == "exact"
    assert compared(dense, pruned) != "exact"
    dump_text(folder, tokens, [cell], [tmp_path / "dump.h5"])
    with h5py.File(tmp_path / "dump.h5") as file:
        for which, logits in (("nll_dense", dense), ("nll_pruned", pruned)):
            following = tokens[:, 1:].flatten()
            losses = cross_entropy(logits[:, :-1].flatten(0, 1), following, reduction="none").view(len(tokens), -1)
            found = torch.from_numpy(np.asarray(file[f"sums/{which}"]))
            torch.testing.assert_close(found, losses, rtol=0, atol=1e-4)
