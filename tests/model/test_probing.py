"""What cannot be walked is refused when a model is registered, by its name and the reason."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.helpers.families import tiny_config, tiny_model
from tests.helpers.tiny import random_model, save_checkpoint

from polyprune.errors import UserError
from polyprune.model.checkpoint import Checkpoint
from polyprune.model.decoder import Decoder
from polyprune.model.probing import probe
from polyprune.model.source import check_shape, read_config
from polyprune.settings.engine import Engine
from polyprune.settings.models import FolderSource, Shape
from polyprune.stages.register_model import register_model

SIZES = {"layers": 4, "hidden": 32, "intermediate": 48, "heads": 4, "kv_heads": 2, "vocabulary": 97}
SHAPE = Shape.model_validate(SIZES | {"max_positions": 64})


def register(folder: Path, shape: Shape = SHAPE) -> Path:
    manifest = folder.parent / "results" / "model.json"
    register_model(FolderSource(kind="folder", path=str(folder)), shape, "mine", manifest, Engine(), {})
    return manifest


def test_registering_refuses_what_cannot_be_walked_and_takes_what_can(tmp_path: Path) -> None:
    good = save_checkpoint(tiny_model(tiny_config("qwen3_moe")), tmp_path / "good" / "model")
    assert register(good).is_file()
    bad = save_checkpoint(tiny_model(tiny_config("glm_moe_dsa")), tmp_path / "bad" / "model")
    with pytest.raises(UserError, match=r"GlmMoeDsaForCausalLM cannot be walked: .* prev_topk_indices, which"):
        register(bad, SHAPE.model_copy(update={"kv_heads": 4}))
    assert not (bad.parent / "results").exists()


def test_a_layer_that_sees_the_future_or_another_sequence_is_refused(tmp_path: Path) -> None:
    decoder = Decoder(Checkpoint(save_checkpoint(random_model("llama"), tmp_path)), torch.device("cpu"))
    probe(decoder)
    forwards = {
        "lets a token change what comes before it": lambda hidden, **_: hidden + hidden.mean(dim=1, keepdim=True),
        "treats a sequence otherwise in a batch than alone": lambda hidden, **_: hidden + hidden.mean(dim=0),
        "gives states that are not finite": lambda hidden, **_: hidden / 0,
    }
    for reason, forward in forwards.items():
        layer = decoder.layers[0]
        original = type(layer).forward
        try:
            type(layer).forward = lambda _, hidden, forward=forward, **call: forward(hidden, **call)
            with pytest.raises(UserError, match=f"LlamaForCausalLM cannot be walked: decoder layer 0 {reason}"):
                probe(decoder)
        finally:
            type(layer).forward = original


def test_sizes_of_a_model_that_also_sees_are_those_of_its_text_decoder(tmp_path: Path) -> None:
    folder = save_checkpoint(tiny_model(tiny_config("gemma3")), tmp_path)
    config = read_config(folder)
    check_shape(config, SHAPE, "models.mine.shape")
    with pytest.raises(UserError, match=r"models\.mine\.shape differs from the model's config\.json: set layers: 4"):
        check_shape(config, SHAPE.model_copy(update={"layers": 5}), "models.mine.shape")
    del config["text_config"]["num_attention_heads"]
    check_shape(config, SHAPE.model_copy(update={"heads": 8, "kv_heads": 2}), "models.mine.shape")
