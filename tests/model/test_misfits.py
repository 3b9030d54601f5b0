"""A checkpoint whose last layer is not the architecture's is refused before a number of any layer is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.helpers.engine import CPU
from tests.helpers.families import tiny_config, tiny_model
from tests.helpers.tiny import random_model, save_checkpoint
from torch import Tensor

from polyprune.errors import UserError
from polyprune.model.checkpoint import Checkpoint
from polyprune.model.decoder import Decoder

Change = Callable[[dict[str, Tensor]], object]
LLAMA, EXPERT = "model.layers.2.mlp.up_proj.weight", "model.layers.1.block_sparse_moe.experts."


def wider(*endings: str) -> Change:
    """The tensors whose names end so have one row more."""

    def change(state: dict[str, Tensor]) -> None:
        for name in [name for name in state if name.endswith(endings) and "layers.0." not in name]:
            state[name] = torch.cat([state[name], state[name][:1]])

    return change


def stored_as(name: str, dtype: torch.dtype) -> Change:
    return lambda state: state.update({name: state[name].to(dtype)})


WRONG: dict[str, tuple[str, Change, str]] = {
    "a matrix": ("llama", wider(LLAMA), r"layer 2 mlp\.up_proj\.weight of shape \[49, 32\].* makes \[48, 32\]"),
    "codes": ("llama", stored_as(LLAMA, torch.float8_e4m3fn), f"{LLAMA} as F8_E4M3"),
    "an expert": (
        "mixtral",
        wider("experts.2.w1.weight"),
        rf"layer 1 {EXPERT}0\.w1\.weight of shape \[\d+, \d+\] and {EXPERT}2\.w1\.weight of shape \[\d+, \d+\], which "
        r"do not make model\.layers\.1\.mlp\.experts\.gate_up_proj",
    ),
    "all experts": (
        "mixtral",
        wider("w1.weight", "w3.weight"),
        r"layer 1 mlp\.experts\.gate_up_proj of shape \[\d, (\d+), (\d+)\], which config\.json makes \[\d, \d+, \2\]",
    ),
    "a stack": ("granitemoe", wider("input_linear.weight"), r"layer 1 .* of shape .* which config\.json makes"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_last_layer_is_refused_before_any_layer_is_read(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    family, change, message = WRONG[name]
    model = random_model(family) if family == "llama" else tiny_model(tiny_config(family))
    folder = save_checkpoint(model, tmp_path)
    Decoder(Checkpoint(folder), CPU)
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})

    plainly = Checkpoint._read

    def read(checkpoint: Checkpoint, handle: Any, tensor: str) -> Tensor:
        assert ".layers." not in tensor
        return plainly(checkpoint, handle, tensor)

    monkeypatch.setattr(Checkpoint, "_read", read)
    with pytest.raises(UserError, match=message) as refused:
        Decoder(Checkpoint(folder), CPU)
    assert str(folder) in str(refused.value) and "\n" not in str(refused.value)
