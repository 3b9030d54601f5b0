"""Model folders as people have them: read as transformers reads them, or refused in one sentence.

A row of the tables is a name, what is done to a good folder, and the verdict.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.helpers.damages import Damage, both, content, entries
from tests.helpers.tiny import SIZES, random_model, random_tokens, save_checkpoint
from torch import Tensor
from transformers import AutoModelForCausalLM

from polyprune.errors import UserError
from polyprune.log import logger
from polyprune.model.checkpoint import Checkpoint
from polyprune.model.decoder import Decoder

CPU = torch.device("cpu")
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
UP = "model.layers.1.mlp.up_proj.weight"
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"


def weights(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / SINGLE)


def put(folder: Path, tensors: dict[str, Tensor], file: str = SINGLE) -> None:
    save_file(tensors, folder / file, metadata={"format": "pt"})


def tensors(change: Callable[[dict[str, Tensor]], Any]) -> Damage:
    """Change the weights in place."""

    def damage(folder: Path) -> None:
        state = weights(folder)
        change(state)
        put(folder, {name: tensor.contiguous() for name, tensor in state.items()})

    return damage


config = partial(entries, "config.json")
"""Change entries of config.json; None removes one."""


def index(weight_map: Any) -> Damage:
    """No single file, and an index of this map."""

    def damage(folder: Path) -> None:
        (folder / SINGLE).rename(folder / "a.safetensors")
        (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))

    return damage


def folder_in_place_of(file: str) -> Damage:
    def damage(folder: Path) -> None:
        (folder / file).unlink(missing_ok=True)
        (folder / file).mkdir()

    return damage


def cast(dtype: torch.dtype, *but: str) -> Damage:
    """All weights in another dtype, but for some."""
    return tensors(lambda state: state.update({k: w if k in but else w.to(dtype) for k, w in state.items()}))


def only(name: str, dtype: torch.dtype) -> Damage:
    return tensors(lambda state: state.update({name: state[name].to(dtype)}))


def stale_index(folder: Path) -> None:
    """Shards of other weights, and their index, beside the single file."""
    old = {name: tensor * 0.9 for name, tensor in weights(folder).items()}
    put(folder, old, "model-00001-of-00001.safetensors")
    (folder / INDEX).write_text(json.dumps({"weight_map": dict.fromkeys(old, "model-00001-of-00001.safetensors")}))


def in_two_shards(folder: Path) -> None:
    """One tensor in both shards, with other values; the index names the first."""
    state = weights(folder)
    names = sorted(state)
    put(folder, {name: state[name] for name in names[:9]}, "a.safetensors")
    put(folder, {name: state[name] for name in names[9:]} | {names[0]: state[names[0]] * 2}, "b.safetensors")
    (folder / SINGLE).unlink()
    shard_of = {name: "a.safetensors" if name in names[:9] else "b.safetensors" for name in names}
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": shard_of}))


def other_head(state: dict[str, Tensor]) -> None:
    state[HEAD] = state[EMBEDDING] * 0.5


def head_for_embedding(state: dict[str, Tensor]) -> None:
    state[HEAD] = state.pop(EMBEDDING)


def rotary_tables(state: dict[str, Tensor]) -> None:
    """As in files of old versions: one a layer, wrong values, which nobody reads."""
    for layer in range(SIZES["num_hidden_layers"]):
        state[f"model.layers.{layer}.self_attn.rotary_emb.inv_freq"] = torch.ones(4)


def larger_vocabulary(state: dict[str, Tensor]) -> None:
    for name in (EMBEDDING, HEAD):
        state[name] = torch.cat([state[name], torch.zeros(15, state[name].shape[1])])


TIED = config(tie_word_embeddings=True)
UNNAMED = config(dtype=None)
AS_TRANSFORMERS: dict[str, Damage] = {
    "as it is": lambda _: None,
    "single file beside the index of older shards": stale_index,
    "dtype of the configuration": both(cast(torch.bfloat16), config(dtype="float32")),
    "dtype by its old name": both(config(dtype=None, torch_dtype="bfloat16")),
    "dtype of the first tensor": both(UNNAMED, cast(torch.bfloat16)),
    "float16": both(UNNAMED, cast(torch.float16)),
    "mixed, one float32, configured": both(cast(torch.bfloat16, EMBEDDING), config(dtype="bfloat16")),
    "mixed, one bfloat16, configured": both(only(EMBEDDING, torch.bfloat16), config(dtype="float32")),
    "mixed, head float32, not configured": both(cast(torch.bfloat16, HEAD), UNNAMED),
    "mixed, head bfloat16, not configured": both(only(HEAD, torch.bfloat16), UNNAMED),
    "tied, no head": both(TIED, tensors(lambda state: state.pop(HEAD))),
    "tied, the same head stored": both(TIED, tensors(lambda state: state.update({HEAD: state[EMBEDDING].clone()}))),
    "tied, another head stored": both(TIED, tensors(other_head)),
    "tied, only a head stored": both(TIED, tensors(head_for_embedding)),
    "rotary tables of old files": tensors(rotary_tables),
    "vocabulary padded": both(tensors(larger_vocabulary), config(vocab_size=SIZES["vocab_size"] + 15)),
}

SHAPES = "config.json is not the one of these weights"
NO_DEPTH = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
REFUSED: dict[str, tuple[Damage, str]] = {
    "index leaves the folder": (index({HEAD: "../a.safetensors"}), "leads out of its folder, to '../a.safetensors'"),
    "index names a path": (index({HEAD: "/etc/a.safetensors"}), "leads out of its folder, to '/etc/a.safetensors'"),
    "index names a subfolder": (index({HEAD: "b/a.safetensors"}), "leads out of its folder"),
    "index is empty": (index({}), "has no weight_map from tensors to files"),
    "index maps to numbers": (index({HEAD: 3}), "has no weight_map from tensors to files"),
    "index without a map": (both(index({}), content(INDEX, b'{"metadata": {}}')), "has no weight_map"),
    "index is a list": (both(index({}), content(INDEX, b"[]")), r"index\.json holds a list, not an object"),
    "a tensor in two shards": (in_two_shards, r"holds \S+ twice, in a\.safetensors and in b\.safetensors"),
    "index lacks a shard": (index({HEAD: "a.safetensors", UP: "b.safetensors"}), "1 of 2 shards are missing, e.g. b"),
    "a folder for the weights": (folder_in_place_of(SINGLE), r"model\.safetensors is no file but a folder"),
    "a folder for config.json": (folder_in_place_of("config.json"), r"config\.json is no file but a folder"),
    "a folder for tokenizer.json": (folder_in_place_of("tokenizer.json"), r"tokenizer\.json is no file but a folder"),
    "config.json nested": (content("config.json", NO_DEPTH), r"config\.json is nested too deeply"),
    "config.json not UTF-8": (content("config.json", b'{"a": "\xe4"}'), r"not UTF-8 \(byte 0xe4 at 7\)"),
    "config.json cut off": (content("config.json", b'{"a": '), r"config\.json is not JSON"),
    "config.json a list": (content("config.json", b"[1]"), r"config\.json holds a list"),
    "weights cut off": (lambda folder: content(SINGLE, (folder / SINGLE).read_bytes()[:-9])(folder), "truncated"),
    "weights empty": (content(SINGLE, b""), "cannot be read as safetensors"),
    "no layers": (config(num_hidden_layers=0), "num_hidden_layers is 0, not a whole number above 0"),
    "layers in words": (config(num_hidden_layers="3"), "num_hidden_layers is '3', not a whole number"),
    "layers true": (config(num_hidden_layers=True), "num_hidden_layers is True, not a whole number"),
    "width below zero": (config(hidden_size=-32), "hidden_size is -32, not a whole number above 0"),
    "heads that do not divide": (
        config(num_attention_heads=5, num_key_value_heads=5, head_dim=None),
        "hidden_size 32 is no multiple of num_attention_heads 5",
    ),
    "groups that do not divide": (config(num_key_value_heads=3), "heads 4 is no multiple of num_key_value_heads 3"),
    "unknown type": (config(model_type="llamma"), "transformers does not know this model"),
    "a word for a number": (config(rms_norm_eps="small"), "rms_norm_eps is 'small', not a number from 0"),
    "fp8": (config(quantization_config={"quant_method": "fp8"}), "already quantised, with fp8"),
    "gptq": (config(quantization_config={"quant_method": "gptq", "bits": 4}), "already quantised, with gptq"),
    "awq": (config(quantization_config={"quant_method": "awq"}), "already quantised, with awq"),
    "bitsandbytes": (config(quantization_config={"quant_method": "bitsandbytes"}), "quantised, with bitsandbytes"),
    "a part quantised": (
        config(text_config={"hidden_size": 32, "quantization_config": {"quant_method": "mxfp4"}}),
        "already quantised, with mxfp4",
    ),
    "packed by its zeros": (
        config(quantization_config={"quant_method": "compressed-tensors", "sparsity_config": {"format": "bitmask"}}),
        "already quantised, with compressed-tensors",
    ),
    "codes called dense": (
        config(quantization_config={"quant_method": "x", "format": "dense", "config_groups": {"group_0": {}}}),
        "already quantised, with x",
    ),
    "compressed": (config(compression_config={"format": "pack-quantized"}), "already quantised, with pack-quantized"),
    "fp8, unsaid": (only(UP, torch.float8_e4m3fn), rf"{UP} as F8_E4M3, not as one of F32, F16, BF16"),
    "codes, unsaid": (only(UP, torch.int8), f"{UP} as I8"),
    "packed codes, unsaid": (
        tensors(lambda state: state.update({UP.replace("weight", "qweight"): torch.ones(4, 4, dtype=torch.int32)})),
        r"up_proj\.qweight as I32",
    ),
    "float64": (only(EMBEDDING, torch.float64), f"{EMBEDDING} as F64"),
    "float64 configured": (
        config(dtype="float64"),
        "dtype is 'float64'; polyprune computes in bfloat16, float16, float32",
    ),
    "not a number": (
        tensors(lambda state: state[UP].__setitem__((3, 5), torch.nan)),
        rf"model\.safetensors: {UP} holds nan at \[3, 5\] \(1 such values of 1,536\)",
    ),
    "not a number in the embedding": (
        tensors(lambda state: state[EMBEDDING][2:4].fill_(torch.inf)),
        rf"{EMBEDDING} holds inf at \[2, 0\] \(64 such values",
    ),
    "beyond float16": (
        both(tensors(lambda state: state[UP].__setitem__((0, 0), -1e6)), config(dtype="float16")),
        f"{UP} reaches 1e\\+06, which float16 cannot hold",
    ),
    "no matrix": (tensors(lambda state: state.pop(UP)), rf"in decoder layer 1 no mlp\.up_proj\.weight.*{SHAPES}"),
    "no head": (tensors(lambda state: state.pop(HEAD)), "has no tensor lm_head.weight"),
    "an unknown matrix": (
        tensors(lambda state: state.update({"model.layers.0.mlp.side.weight": torch.ones(2, 2)})),
        r"in decoder layer 0 mlp\.side\.weight, which LlamaForCausalLM has not",
    ),
    "another width": (config(intermediate_size=64), r"gate_proj\.weight of shape \[48, 32\].*makes \[64, 32\]"),
    "another vocabulary": (config(vocab_size=100), rf"{EMBEDDING} of shape \[97, 32\], which config.json makes \[100"),
    "more layers": (config(num_hidden_layers=4), "in decoder layer 3 no"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_checkpoint(random_model("llama"), tmp_path / "model")


def logits(decoder: Decoder, tokens: Tensor) -> Tensor:
    hidden, calls = decoder.embed(tokens, len(tokens))
    with torch.inference_mode():
        for number, layer in decoder.walk():
            hidden = layer(hidden, **calls[number])
        return decoder.logits(decoder.normalise(hidden))


@pytest.mark.parametrize("name", AS_TRANSFORMERS)
def test_what_transformers_reads_is_what_we_read(folder: Path, name: str) -> None:
    AS_TRANSFORMERS[name](folder)
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", attn_implementation="sdpa").eval()
    decoder = Decoder(Checkpoint(folder), CPU)
    assert decoder.dtype == theirs.dtype
    tokens = random_tokens(2, 12)
    with torch.inference_mode():
        expected = theirs(tokens).logits
    assert torch.equal(logits(decoder, tokens), expected)


def test_a_pruned_model_in_plain_weights_is_plain(folder: Path) -> None:
    """A tool that could have packed them says so; transformers would need that tool."""
    expected = logits(Decoder(Checkpoint(folder), CPU), random_tokens(1, 9))
    config(quantization_config={"quant_method": "compressed-tensors", "sparsity_config": {"format": "dense"}})(folder)
    assert torch.equal(logits(Decoder(Checkpoint(folder), CPU), random_tokens(1, 9)), expected)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused_in_one_sentence(folder: Path, name: str) -> None:
    damage, message = REFUSED[name]
    damage(folder)
    with pytest.raises(UserError, match=message) as refused:
        list(Decoder(Checkpoint(folder), CPU).walk())
    assert str(folder) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_mixed_dtypes_and_two_heads_are_said(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logger, "propagate", True)
    both(TIED, tensors(other_head), only(UP, torch.bfloat16))(folder)
    with caplog.at_level("INFO"):
        Decoder(Checkpoint(folder), CPU)
    assert "1 tensors as BF16, 29 tensors as F32; all are used in torch.float32 (config.json says so)" in caplog.text
    assert "stores lm_head.weight and model.embed_tokens.weight, which differ" in caplog.text


def test_one_dtype_is_not_worth_a_word(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logger, "propagate", True)
    with caplog.at_level("INFO"):
        Decoder(Checkpoint(folder), CPU)
    assert caplog.text == ""
