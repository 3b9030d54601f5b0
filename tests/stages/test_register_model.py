"""Local model folders: whole, safe and of the shape that the settings say, or refused with the remedy."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from polyprune.errors import UserError
from polyprune.model import probing
from polyprune.model.source import locate, read_manifest
from polyprune.places import VARIABLE, export_places, reference
from polyprune.settings.engine import Engine
from polyprune.settings.models import FolderSource, Shape
from polyprune.stages.register_model import register_model

MINE = FolderSource(kind="folder", path=reference("models", "mine"))
SHAPE = Shape(layers=2, hidden=64, intermediate=192, heads=4, kv_heads=2, vocabulary=512, max_positions=256)
CONFIG = {
    "architectures": ["LlamaForCausalLM"], "num_hidden_layers": 2, "hidden_size": 64, "intermediate_size": 192,
    "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 512, "max_position_embeddings": 256,
}  # fmt: skip


@pytest.fixture(autouse=True)
def weights_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders here have none; `tests/model/test_probing.py` has."""
    monkeypatch.setattr(probing, "probe_folder", lambda *_: None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    made.mkdir()
    (made / "tokenizer.json").write_text("{}")
    (made / "model.safetensors").write_bytes(b"weights")
    configure(made)
    return made


def configure(folder: Path, **changes: Any) -> None:
    config = {key: value for key, value in {**CONFIG, **changes}.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(config))


def register(folder: Path, shape: Shape = SHAPE) -> dict[str, Any]:
    output = folder.parent / "results" / "model.json"
    export_places({"models/mine": str(folder)})
    register_model(MINE, shape, "mine", output, Engine(), {"code": "abc"})
    return read_manifest(output)


def refusal(folder: Path) -> str:
    with pytest.raises(UserError) as refused:
        register(folder)
    assert not (folder.parent / "results" / "model.json").exists()
    return str(refused.value)


def test_a_whole_folder_gets_a_manifest_that_leads_back_to_it(folder: Path):
    manifest = register(folder)
    assert manifest["source"] == {"kind": "folder", "path": "outside:models/mine"}
    assert manifest["architecture"] == "LlamaForCausalLM"
    assert manifest["provenance"] == {"code": "abc"}
    assert re.fullmatch(r"[0-9a-f]{16}", manifest["digest"])
    assert locate(folder.parent / "results" / "model.json") == folder


def test_a_relative_path_and_a_home_folder_lead_to_the_same_bytes(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """And so does the folder in another place: where it lies is no part of what it is."""
    monkeypatch.chdir(folder.parent)
    monkeypatch.setenv("HOME", str(folder.parent))
    register(folder)
    written = [(folder.parent / "results" / "model.json").read_bytes()]
    for path in ("model", "./x/../model", "~/model", "elsewhere"):
        if path == "elsewhere":
            folder.rename(path)
        export_places({"models/mine": path})
        register_model(MINE, SHAPE, "mine", Path("results/model.json"), Engine(), {"code": "abc"})
        assert locate(Path("results/model.json")).resolve() == (folder.parent / path.replace("~", ".")).resolve()
        written.append(Path("results/model.json").read_bytes())
    assert len(set(written)) == 1


def test_where_nobody_says_where_the_folder_is_the_message_says_how(folder: Path, monkeypatch: pytest.MonkeyPatch):
    register(folder)
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(UserError, match=r"where models/mine lies is said by config\.yaml .*; set POLYPRUNE_PLACES to"):
        locate(folder.parent / "results" / "model.json")


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "model.safetensors"])
def test_every_byte_that_matters_changes_the_digest(folder: Path, file: str):
    before = register(folder)["digest"]
    (folder / "README.md").write_text("not part of the model")
    assert register(folder)["digest"] == before
    (folder / file).write_bytes((folder / file).read_bytes() + b" ")
    assert register(folder)["digest"] != before


def test_a_wrong_shape_is_refused_with_the_right_values(folder: Path):
    configure(folder, num_hidden_layers=3, num_key_value_heads=4, vocab_size=600, max_position_embeddings=128)
    assert refusal(folder) == (
        "models.mine.shape differs from the model's config.json: "
        "set layers: 3, kv_heads: 4, vocabulary: 600, max_positions: 128"
    )


def test_a_model_without_grouped_heads_has_as_many_as_heads(folder: Path):
    configure(folder, num_key_value_heads=None)
    assert refusal(folder).endswith("set kv_heads: 4")
    register(folder, SHAPE.model_copy(update={"kv_heads": 4}))


def test_remote_code_is_refused(folder: Path):
    configure(folder, auto_map={"AutoModel": "modeling_x.X"})
    assert refusal(folder) == (
        f"{folder} needs code from its repository (auto_map in config.json); polyprune runs no remote code"
    )


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("config.json", "{folder} has no config.json: it is not a model folder in Hugging Face layout"),
        (
            "tokenizer.json",
            "{folder} has no tokenizer.json (fast tokenizer); save one with AutoTokenizer.save_pretrained",
        ),
        ("model.safetensors", "{folder} has neither model.safetensors nor model.safetensors.index.json"),
    ],
)
def test_a_folder_that_lacks_a_file_is_refused(folder: Path, missing: str, message: str):
    (folder / missing).unlink()
    assert refusal(folder) == message.format(folder=folder)


def test_a_missing_folder_is_refused(tmp_path: Path):
    assert refusal(tmp_path / "no") == f"model folder {tmp_path / 'no'} does not exist"


@pytest.mark.parametrize("name", ["pytorch_model.bin", "consolidated.00.pt"])
def test_pickles_are_refused(folder: Path, name: str):
    (folder / "model.safetensors").rename(folder / name)
    assert refusal(folder) == (f"{folder} has pickled weights only; convert them to safetensors (pickles can run code)")


def test_missing_shards_are_counted(folder: Path):
    shards = [f"model-{number:05d}-of-00003.safetensors" for number in (1, 2, 3)]
    weights = {f"tensor{number}": shards[number % 3] for number in range(9)}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weights}))
    (folder / "model.safetensors").unlink()
    (folder / shards[1]).write_bytes(b"two")
    assert refusal(folder) == (
        f"{folder} is half-downloaded: 2 of 3 shards are missing, e.g. model-00001-of-00003.safetensors"
    )
    for shard in shards:
        (folder / shard).write_bytes(shard.encode())
    before = register(folder)["digest"]
    (folder / shards[2]).write_bytes(b"other")
    assert register(folder)["digest"] != before
