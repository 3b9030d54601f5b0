"""A model's dtype on a CPU: what the machine multiplies faster, chosen once, part of what the model is."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from tests.helpers.cells import arguments
from tests.helpers.exports import exported
from tests.helpers.tiny import random_model, random_tokens, save_checkpoint
from transformers.models.auto import AutoModelForCausalLM

from polyprune.artifacts.cells import CellReader
from polyprune.artifacts.tokens import TokenSet, save_tokens
from polyprune.errors import UserError
from polyprune.model import arithmetic
from polyprune.model.cells import open_cell
from polyprune.model.checkpoint import open_model
from polyprune.model.decoder import Decoder
from polyprune.model.source import read_manifest
from polyprune.running.run import run
from polyprune.settings.engine import Engine
from polyprune.settings.models import FolderSource
from polyprune.stages.register_model import register_model

CPU = Engine(device="cpu")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[torch.dtype, Path]:
    kinds = (torch.float32, torch.bfloat16, torch.float16)
    return {
        kind: save_checkpoint(random_model("llama", dtype=kind), tmp_path_factory.mktemp("model") / "checkpoint")
        for kind in kinds
    }


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> dict[torch.dtype, float]:
    """What products take on a machine without instructions for 16 bits."""
    taken = {torch.float32: 1.0, torch.bfloat16: 4.0, torch.float16: 5.0}
    monkeypatch.setattr(arithmetic, "product_seconds", taken.__getitem__)
    return taken


def register(checkpoint: Path, folder: Path, dtype: str | None = None, engine: Engine = CPU) -> Path:
    source = FolderSource.model_validate({"kind": "folder", "path": str(checkpoint), "dtype": dtype})
    folder.mkdir()
    register_model(source, None, "mine", folder / "model.json", engine, {"code": "abc"})
    return folder / "model.json"


@pytest.mark.parametrize("own", [torch.bfloat16, torch.float16])
def test_the_faster_dtype_is_chosen_and_is_another_model(
    own: torch.dtype, folders: dict[torch.dtype, Path], seconds: dict[torch.dtype, float], tmp_path: Path
) -> None:
    chosen = register(folders[own], tmp_path / "slow")
    seconds[own] = 0.5
    kept = register(folders[own], tmp_path / "fast")
    assert read_manifest(chosen)["chosen_dtype"] == "float32" and "chosen_dtype" not in read_manifest(kept)
    assert read_manifest(chosen)["digest"] != read_manifest(kept)["digest"]
    assert "dtype" not in read_manifest(chosen)["source"], "which says what was asked for"
    tokens = random_tokens(2, 12, seed=1)
    for manifest, dtype in ((chosen, torch.float32), (kept, own)):
        decoder = Decoder(open_model(manifest), torch.device("cpu"))
        hidden, calls = decoder.embed(tokens, 2)
        with torch.inference_mode():
            for index, layer in decoder.walk():
                hidden = layer(hidden, **calls[index])
            logits = decoder.logits(decoder.normalise(hidden))
            model = AutoModelForCausalLM.from_pretrained(folders[own], dtype=dtype, attn_implementation="sdpa").eval()
            assert logits.dtype == dtype and torch.equal(logits, model(tokens, use_cache=False).logits)


def test_what_is_made_in_the_one_is_refused_for_the_other(
    folders: dict[torch.dtype, Path], seconds: dict[torch.dtype, float], tmp_path: Path
) -> None:
    chosen = register(folders[torch.bfloat16], tmp_path / "slow")
    tokens = random_tokens(4, 16).numpy().astype("int32")
    about = {"model_digest": read_manifest(chosen)["digest"], "languages": ["de", "en"], "seed": 0}
    text = TokenSet(tokens, tokens * 0 + 1, (tokens * 0).astype("uint8"), about)
    save_tokens(chosen.with_name("tokens.safetensors"), text)
    cell = tmp_path / "weights.safetensors"
    assert run(arguments(chosen.parent, "sparsegpt", "0.50", cell)) == 0
    assert CellReader(cell).metadata["dtype"] == "float32"
    seconds[torch.bfloat16] = 0.5
    with pytest.raises(UserError, match="has model_digest"):
        open_cell(cell, register(folders[torch.bfloat16], tmp_path / "fast"))
    output = tmp_path / "export" / "config.json"
    exported(chosen, cell, output)
    loaded = AutoModelForCausalLM.from_pretrained(output.parent, dtype="auto")
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}


@pytest.mark.parametrize(("taken", "chosen"), [(1.2, None), (1.3, "float32")])
def test_it_has_to_be_worth_twice_the_memory(
    taken: float, chosen: str | None, folders: dict[torch.dtype, Path], seconds: dict[torch.dtype, float]
) -> None:
    seconds[torch.bfloat16] = taken
    assert arithmetic.dtype_by_speed(folders[torch.bfloat16], "cpu") == chosen


def test_it_is_said_with_what_the_machine_has(
    folders: dict[torch.dtype, Path], seconds: dict[torch.dtype, float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "polyprune")
    arithmetic.dtype_by_speed(folders[torch.bfloat16], "cpu")
    said = f"bfloat16 products take 4.00 of float32's time on this CPU ({arithmetic.instructions()}): computed in float"
    assert said in caplog.text and seconds


def test_a_float32_model_is_never_rounded_unasked(
    folders: dict[torch.dtype, Path], seconds: dict[torch.dtype, float], tmp_path: Path
) -> None:
    seconds.clear()  # so that nothing can be measured
    about = read_manifest(register(folders[torch.float32], tmp_path / "own"))
    assert "chosen_dtype" not in about
    asked = read_manifest(register(folders[torch.float32], tmp_path / "asked", "bfloat16"))
    assert asked["source"]["dtype"] == "bfloat16" and "chosen_dtype" not in asked


def test_nothing_is_chosen_where_a_dtype_is_asked_for_or_a_gpu_may_compute(
    folders: dict[torch.dtype, Path],
    seconds: dict[torch.dtype, float],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    half = folders[torch.bfloat16]
    assert "chosen_dtype" not in read_manifest(register(half, tmp_path / "asked", "bfloat16"))
    assert arithmetic.dtype_by_speed(half, "cuda") is None
    monkeypatch.setattr(torch.version, "cuda", None)
    assert arithmetic.dtype_by_speed(half, "auto") == "float32", "torch is built for CPUs only"
    monkeypatch.setattr(torch.version, "cuda", "12.9")
    assert arithmetic.dtype_by_speed(half, "auto") is None, "this may be a cluster's login node"
    assert arithmetic.dtype_by_speed(half, "cpu") == "float32"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert arithmetic.dtype_by_speed(half, "auto") is None
    assert arithmetic.dtype_by_speed(half, "cpu") == "float32" and seconds


def test_products_are_measured() -> None:
    assert all(0 < arithmetic.product_seconds(dtype) < 30 for dtype in (torch.float32, torch.bfloat16))
