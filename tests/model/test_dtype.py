"""A model used in another dtype than its checkpoint's: from the manifest to the export, as transformers casts it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tests.helpers.cells import arguments
from tests.helpers.exports import exported
from tests.helpers.tiny import SIZES, random_model, random_tokens, save_checkpoint
from transformers.models.auto import AutoModelForCausalLM

from polyprune.artifacts.cells import CellReader
from polyprune.artifacts.tokens import TokenSet, save_tokens
from polyprune.errors import UserError
from polyprune.model.cells import open_cell
from polyprune.model.checkpoint import open_model
from polyprune.model.decoder import Decoder
from polyprune.model.source import read_manifest
from polyprune.running.run import run
from polyprune.settings.engine import Engine
from polyprune.settings.models import FolderSource, Shape
from polyprune.stages.register_model import register_model

SHAPE = Shape(layers=3, hidden=32, intermediate=48, heads=4, kv_heads=2, vocabulary=97, max_positions=64)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In bfloat16, in two files."""
    model = random_model("llama", dtype=torch.bfloat16)
    return save_checkpoint(model, tmp_path_factory.mktemp("model") / "checkpoint", shards=2)


def register(checkpoint: Path, folder: Path, dtype: str | None) -> Path:
    """The manifest of the model in a dtype, and a shard of calibration text beside it."""
    source = FolderSource.model_validate({"kind": "folder", "path": str(checkpoint), "dtype": dtype})
    folder.mkdir()
    register_model(source, SHAPE, "mine", folder / "model.json", Engine(), {"code": "abc"})
    tokens = random_tokens(4, 16).numpy().astype("int32")
    about = {"model_digest": read_manifest(folder / "model.json")["digest"], "languages": ["de", "en"], "seed": 0}
    save_tokens(folder / "tokens.safetensors", TokenSet(tokens, tokens * 0 + 1, (tokens * 0).astype("uint8"), about))
    return folder / "model.json"


def test_weights_are_used_in_the_dtype_that_is_asked_for(checkpoint: Path, tmp_path: Path) -> None:
    tokens = random_tokens(2, 12, seed=1)
    for dtype in (torch.float16, torch.float32):
        name = str(dtype).removeprefix("torch.")
        decoder = Decoder(open_model(register(checkpoint, tmp_path / name, name)), torch.device("cpu"))
        assert decoder.dtype_name == name
        hidden, calls = decoder.embed(tokens, 2)
        with torch.inference_mode():
            for index, layer in decoder.walk():
                hidden = layer(hidden, **calls[index])
            logits = decoder.logits(decoder.normalise(hidden))
            model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=dtype, attn_implementation="sdpa").eval()
            expected = model(tokens, use_cache=False).logits
        assert logits.dtype == expected.dtype == dtype and torch.equal(logits, expected)


def test_a_model_in_another_dtype_is_another_model(checkpoint: Path, tmp_path: Path) -> None:
    own, half = (register(checkpoint, tmp_path / str(dtype), dtype) for dtype in (None, "float16"))
    assert "dtype" not in read_manifest(own)["source"] and read_manifest(half)["source"]["dtype"] == "float16"
    cell = tmp_path / "weights.safetensors"
    assert run(arguments(half.parent, "sparsegpt", "0.50", cell)) == 0
    assert CellReader(cell).metadata["dtype"] == "float16"
    open_cell(cell, half)
    with pytest.raises(UserError, match="has model_digest"):
        open_cell(cell, own)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_an_export_is_in_the_dtype_that_is_asked_for(dtype: str, checkpoint: Path, tmp_path: Path) -> None:
    model, cell = register(checkpoint, tmp_path / "own", dtype), tmp_path / "weights.safetensors"
    assert run(arguments(model.parent, "sparsegpt", "0.50", cell)) == 0
    output = tmp_path / "export" / "config.json"
    exported(model, cell, output)
    config = json.loads(output.read_text())
    assert {config[name] for name in ("dtype", "torch_dtype") if name in config} == {dtype}
    loaded = AutoModelForCausalLM.from_pretrained(output.parent, dtype="auto", attn_implementation="sdpa")
    wanted = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=getattr(torch, dtype))
    reader = CellReader(cell)
    assert len(reader.columns) == 7 * SIZES["num_hidden_layers"]
    for name, parameter in loaded.named_parameters():
        dense = wanted.get_parameter(name).data
        kept = reader.weight(name.removesuffix(".weight"))
        assert torch.equal(parameter.data, dense if kept is None else kept.dense(dense)), name
        assert parameter.dtype == getattr(torch, dtype)
