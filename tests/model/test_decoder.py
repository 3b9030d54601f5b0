"""The layer-by-layer walk gives exactly what transformers' own forward gives, on every architecture it accepts."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import pytest
import torch
from tests.helpers.engine import linears_of
from tests.helpers.families import tiny_config, tiny_model
from tests.helpers.tiny import CONFIGS, random_model, random_tokens, save_checkpoint
from torch import Tensor

from polyprune.errors import UserError
from polyprune.model.calibration import calibration_batch
from polyprune.model.checkpoint import Checkpoint
from polyprune.model.compression import propagate
from polyprune.model.decoder import Decoder, sequences_per_batch

CPU = torch.device("cpu")


def walk_through(decoder: Decoder, tokens: Tensor, batch: int) -> tuple[list[Tensor], Tensor]:
    """Raw hidden states after the embedding and every layer, and the logits."""
    hidden, calls = decoder.embed(tokens, batch)
    states = [hidden.clone()]
    for index, layer in decoder.walk():
        propagate(layer, hidden, calls[index], batch)
        states.append(hidden.clone())
    return states, decoder.logits(decoder.normalise(hidden))


@pytest.mark.parametrize("name", CONFIGS)
def test_walk_equals_the_models_own_forward(name: str, tmp_path: Path) -> None:
    model = random_model(name)
    decoder = Decoder(Checkpoint(save_checkpoint(model, tmp_path, shards=3)), CPU)
    tokens = random_tokens(5, 24)
    states, logits = walk_through(decoder, tokens, batch=2)
    with torch.inference_mode():
        expected = model(tokens, output_hidden_states=True, use_cache=False)
    assert expected.hidden_states is not None and len(states) == len(expected.hidden_states)
    for ours, theirs in zip(states[:-1], expected.hidden_states[:-1], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(decoder.normalise(states[-1]), expected.hidden_states[-1], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(logits, expected.logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["llama", "cohere"])
def test_bfloat16_walk_is_bitwise_equal(name: str, tmp_path: Path) -> None:
    folder = save_checkpoint(random_model(name, dtype=torch.bfloat16), tmp_path)
    model = type(random_model(name)).from_pretrained(folder, dtype=torch.bfloat16, attn_implementation="sdpa")
    decoder = Decoder(Checkpoint(folder), CPU)
    tokens = random_tokens(2, 24)
    _, logits = walk_through(decoder, tokens, batch=2)
    with torch.inference_mode():
        assert decoder.dtype == torch.bfloat16
        assert torch.equal(logits, model(tokens, use_cache=False).logits)


def test_the_future_does_not_change_the_past(tmp_path: Path) -> None:
    """Attention without a mask is causal only with sdpa."""
    decoder = Decoder(Checkpoint(save_checkpoint(random_model("llama"), tmp_path)), CPU)
    tokens = random_tokens(1, 24)
    changed = tokens.clone()
    changed[:, -1] = (changed[:, -1] + 1) % 97
    states, _ = walk_through(decoder, tokens, batch=1)
    others, _ = walk_through(decoder, changed, batch=1)
    assert torch.equal(states[-1][:, :-1], others[-1][:, :-1])
    assert not torch.equal(states[-1][:, -1], others[-1][:, -1])


def test_layers_hold_weights_only_while_they_are_visited(tmp_path: Path) -> None:
    decoder = Decoder(Checkpoint(save_checkpoint(random_model("llama"), tmp_path)), CPU)
    for index, _ in decoder.walk():
        loaded = [not next(layer.parameters()).is_meta for layer in decoder.layers]
        assert loaded == [place == index for place in range(decoder.n_layers)]
    gc.collect()
    assert all(parameter.is_meta for parameter in decoder.layers.parameters())


def test_linears_are_the_seven_of_a_layer(tmp_path: Path) -> None:
    decoder = Decoder(Checkpoint(save_checkpoint(random_model("cohere"), tmp_path)), CPU)
    names = {name.split(".")[-1] for name in linears_of(decoder.layers[0])}
    assert names == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


def test_a_model_of_another_build_is_refused_by_name(tmp_path: Path) -> None:
    folder = save_checkpoint(tiny_model(tiny_config("bert")), tmp_path)
    with pytest.raises(
        UserError, match="BertLMHeadModel cannot be walked layer by layer: its BertModel has no list of"
    ):
        Decoder(Checkpoint(folder), CPU)


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    folder = save_checkpoint(random_model("llama"), tmp_path, shards=2)
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    lost = index["weight_map"]["lm_head.weight"]
    config = json.loads((folder / "config.json").read_text())
    assert not config["tie_word_embeddings"]
    from safetensors.torch import load_file, save_file

    rest = {name: tensor for name, tensor in load_file(folder / lost).items() if name != "lm_head.weight"}
    save_file(rest, folder / lost, metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"no tensor lm_head\.weight"):
        Decoder(Checkpoint(folder), CPU)


def test_a_layer_that_lacks_a_weight_is_named_before_any_is_computed(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = save_checkpoint(random_model("llama"), tmp_path)
    state = load_file(folder / "model.safetensors")
    del state["model.layers.1.mlp.up_proj.weight"]
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"has in decoder layer 1 no mlp\.up_proj\.weight"):
        Decoder(Checkpoint(folder), CPU)


def test_unknown_model_types_are_refused(tmp_path: Path) -> None:
    folder = save_checkpoint(random_model("llama"), tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "llamma"}))
    with pytest.raises(UserError, match="transformers does not know this model"):
        Decoder(Checkpoint(folder), CPU)


def test_a_batch_fills_the_token_budget_and_has_one_sequence_at_least() -> None:
    assert sequences_per_batch(16384, 160) == 102
    assert sequences_per_batch(100, 160) == 1
    assert [calibration_batch(16384, length, torch.device("cpu")) for length in (100, 512, 2048)] == [5, 1, 1]
    assert calibration_batch(200, 100, torch.device("cpu")) == 2
    assert calibration_batch(16384, 2048, torch.device("cuda")) == 8
