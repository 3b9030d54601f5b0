"""AWQ cells packed for other programs: scales of columns folded away, the model the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.helpers.engine import put_weights, run_engine
from tests.helpers.foreign import packed
from tests.helpers.tiny import random_model, random_tokens, save_checkpoint
from transformers import PreTrainedModel
from transformers.models.auto import AutoModelForCausalLM

from polyprune.artifacts.cells import CellReader
from polyprune.artifacts.weights import QuantisedWeight
from polyprune.errors import UserError
from polyprune.grammar.layouts import PACKED
from polyprune.model.checkpoint import Checkpoint
from polyprune.model.folding import FAMILIES

SIZES: dict[str, Any] = {"hidden_size": 64, "intermediate_size": 96}
SETTINGS = {"duo_scaling": True, "clip": True, "foldable": True}
TOKENS = random_tokens(4, 16)


def cell_of(folder: Path, path: Path, foldable: bool = True, **changes: Any) -> tuple[Checkpoint, CellReader]:
    """A random model, and its AWQ cell."""
    model = random_model(changes.pop("family", "llama"), **SIZES | changes)
    checkpoint = Checkpoint(save_checkpoint(model, folder))
    shared = model.config.num_key_value_heads != model.config.num_attention_heads
    settings = SETTINGS | {"foldable": foldable}
    return checkpoint, run_engine(checkpoint.folder, TOKENS, "awq", "w4g32", path, shared_heads=shared, awq=settings)


@torch.inference_mode()
def logits(model: PreTrainedModel) -> torch.Tensor:
    return model.double()(TOKENS).logits


@pytest.mark.parametrize(("family", "heads"), [("llama", 4), ("qwen2", 4), ("qwen3", 2), ("mistral", 2)])
def test_what_is_folded_is_the_cells_model(family: str, heads: int, tmp_path: Path) -> None:
    """FOLD-1, FOLD-2, by transformers in float64: logits of a packed folder, in which no column is scaled.

    `heads` are those of values. What is left is the rounding of norms to float32; and of scales, where a layout has
    them in float16.
    """
    changes = {"family": family, "num_key_value_heads": heads}
    checkpoint, cell = cell_of(tmp_path / "model", tmp_path / "cell.safetensors", **changes)
    scaled = [name for name in cell.columns if f"{name}.columns" in load_file(cell.path)]
    assert len(scaled) == (7 * 3 if heads == 4 else 6 * 3)
    wanted = AutoModelForCausalLM.from_pretrained(checkpoint.folder)
    put_weights(wanted, cell)
    beside = [name for name in checkpoint.file_of if name.removesuffix(".weight") not in cell.columns]
    states: dict[str, dict[str, torch.Tensor]] = {}
    for layout in PACKED:
        found = packed(checkpoint, cell, layout, tmp_path / layout)
        matrices = {name: found.read(name) for name in cell.columns}
        states[layout] = {name: found.tensors.tensor(name) for name in beside}
        for name, matrix in matrices.items():
            assert isinstance(matrix, QuantisedWeight) and matrix.grid.column_scales is None
            states[layout][f"{name}.weight"] = matrix.dense(torch.empty(0))
    exact = states.pop("compressed-tensors")
    ours = AutoModelForCausalLM.from_pretrained(checkpoint.folder)
    ours.load_state_dict(exact)
    torch.testing.assert_close(logits(ours), logits(wanted), rtol=0, atol=1e-6 * logits(wanted).abs().max().item())
    for state in states.values():
        for name, tensor in state.items():
            torch.testing.assert_close(tensor, exact[name], rtol=2**-11, atol=0)


def test_what_cannot_be_folded_is_refused(tmp_path: Path) -> None:
    for number, (message, changes) in enumerate(
        {
            "v_proj makes 16 that several heads share: they cannot be folded. Cells of compression.awq.foldable": {
                "foldable": False
            },
            f"where that is, is known of {', '.join(FAMILIES)}, and not of 'cohere'": {"family": "cohere"},
        }.items()
    ):
        checkpoint, cell = cell_of(tmp_path / f"model{number}", tmp_path / f"{number}.safetensors", **changes)
        with pytest.raises(UserError, match=message):
            packed(checkpoint, cell, "awq", tmp_path / f"packed{number}")
