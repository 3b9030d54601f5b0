"""What is registered of prompting, and put right where the model was made here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.helpers.tiny import random_model, save_checkpoint

from polyprune.artifacts.verify import complaint
from polyprune.model.prompting import locate_prompting, read_prompting
from polyprune.model.source import write_manifest
from polyprune.model.training import build_model, save_model, train_tokenizer
from polyprune.places import export_places, reference
from polyprune.settings.engine import Engine
from polyprune.settings.models import PickledSource, Shape
from polyprune.stages.convert_model import convert_model
from polyprune.stages.register_prompting import register_prompting

SHAPE = Shape(layers=1, hidden=16, intermediate=16, heads=2, kv_heads=1, vocabulary=300, max_positions=32)
TRAINED: Any = SimpleNamespace(architecture="llama", seed=0)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tmp_path / "results/small/model.json"


def registered(model: Path) -> dict[str, Any]:
    register_prompting(model, model.with_name("prompting.json"), {"code": "abc"})
    return read_prompting(model.with_name("prompting.json"), model)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_of_a_folder_nothing_is_touched(model: Path, tmp_path: Path) -> None:
    folder = save_checkpoint(random_model("llama"), tmp_path / "mine")
    (folder / "tokenizer.json").write_text("{}")
    (folder / "chat_template.jinja").write_text("mine")
    export_places({"models/small": str(folder)})
    write_manifest(model, {"kind": "folder", "path": reference("models", "small")}, folder, {})
    before = contents(folder)
    about = registered(model)
    assert set(about["files"]) == {"chat_template.jinja", "generation_config.json"} and about["original"] == {}
    assert (about["kind"], about["provenance"]) == ("folder", {"code": "abc"})
    assert contents(folder) == before


def test_of_a_trained_model_the_files_are_as_training_wrote_them(model: Path) -> None:
    folder = model.parent / "checkpoint"
    save_model(build_model(TRAINED, SHAPE), train_tokenizer(["ein Satz"] * 20, 300), folder)
    write_manifest(model, {"kind": "train"}, folder, {})
    before = contents(folder)
    about = registered(model)
    assert contents(folder) == before
    for name in ("chat_template.jinja", "generation_config.json"):
        (folder / name).write_text('{"eos_token_id": 0}')
        assert "is damaged" in (complaint(model.with_name("prompting.json"), model.parents[1]) or "")
        assert complaint(model, model.parents[1]) is None
        assert registered(model) == about and contents(folder) == before


@pytest.fixture
def pickled(tmp_path: Path) -> Iterator[Path]:
    """A folder with pickled weights and a tokenizer."""
    import torch

    tiny = random_model("llama", vocab_size=300)
    folder = save_checkpoint(tiny, tmp_path / "old")
    (folder / "model.safetensors").unlink()
    torch.save(tiny.state_dict(), folder / "pytorch_model.bin")
    train_tokenizer(["ein Satz"] * 20, 300).save_pretrained(folder)
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates/tools.jinja").write_text("tools")
    export_places({"models/small": str(folder)})
    yield folder


def test_of_pickled_weights_the_files_follow_the_original(model: Path, pickled: Path) -> None:
    convert_model(PickledSource(kind="pickles", path=reference("models", "small")), None, "small", model, Engine(), {})
    folder = model.parent / "checkpoint"
    assert (folder / "additional_chat_templates/tools.jinja").read_text() == "tools"
    before, about = contents(folder), registered(model)
    assert contents(folder) == before and set(about["original"]) == set(about["files"])
    (pickled / "chat_template.jinja").write_text("another")
    (pickled / "additional_chat_templates/tools.jinja").unlink()
    changed = registered(model)
    assert changed["digest"] != about["digest"] and locate_prompting(model.with_name("prompting.json"), model) == folder
    assert contents(folder) == {
        name: b"another" if name == "chat_template.jinja" else content
        for name, content in before.items()
        if name != "additional_chat_templates/tools.jinja"
    }
    assert json.loads(model.read_text())["source"]["original"].keys() >= {"config.json", "tokenizer.json"}
