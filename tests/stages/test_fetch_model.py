"""Fetching a model: its commit is locked, it is checked before anything is written, and the manifest identifies it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError
from tests.helpers.hub import LATER, NOW, answer, refuse

from polyprune import hub
from polyprune.errors import UserError
from polyprune.hub import MODEL_FILES
from polyprune.model import probing
from polyprune.settings.engine import Engine
from polyprune.settings.models import HubSource, Shape
from polyprune.stages.fetch_model import fetch_model

SOURCE = HubSource(kind="hub", id="org/name", revision=None, gated=None)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock file lies in the working directory; folders here have no weights to look at."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(probing, "probe_folder", lambda *_: None)


def snapshot(folder: Path, **config: Any) -> Path:
    """A model folder as the hub's cache holds it: whole, but without tensors."""
    folder.mkdir(parents=True)
    sizes = {
        "num_hidden_layers": 2, "hidden_size": 64, "intermediate_size": 192, "num_attention_heads": 4,
        "num_key_value_heads": 2, "vocab_size": 512, "max_position_embeddings": 256,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"], **sizes, **config}))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


SHAPE = Shape(layers=2, hidden=64, intermediate=192, heads=4, kv_heads=2, vocabulary=512, max_positions=256)


def digest_by_hand(folder: Path) -> str:
    """SHA-256 over the names and the files' own SHA-256, each after its length in eight bytes; 16 digits of it."""
    sha = hashlib.sha256()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        for part in (name, hashlib.sha256((folder / name).read_bytes()).hexdigest()):
            sha.update(len(part).to_bytes(8, "little") + part.encode())
    return sha.hexdigest()[:16]


def test_fetching_locks_downloads_checks_and_describes_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    answer(monkeypatch, NOW)
    folder = snapshot(tmp_path / "cache")
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def download(*args: Any, **kwargs: Any) -> str:
        calls.append((args, kwargs))
        return str(folder)

    monkeypatch.setattr(hub, "snapshot_download", download)
    output = tmp_path / "results" / "model.json"
    fetch_model(SOURCE, SHAPE, "short", output, Engine(), {"code": "abc"})
    assert calls == [(("org/name",), {"revision": NOW, "allow_patterns": MODEL_FILES})]
    manifest = json.loads(output.read_text())
    assert manifest["source"] == {"kind": "hub", "id": "org/name", "revision": NOW}
    assert manifest["architecture"] == "LlamaForCausalLM"
    assert manifest["provenance"] == {"code": "abc"}
    assert manifest["digest"] == digest_by_hand(folder)
    lock = json.loads(Path("revisions.lock").read_text())
    sizes = SHAPE.model_dump(exclude_none=True) | {"bytes_per_weight": 4}
    assert lock == {"models": {"org/name": NOW}, "sizes": {f"org/name@{NOW}": sizes}}
    assert str(tmp_path) not in output.read_text(), "a hub model's manifest is the same on every machine"

    first = output.read_bytes()
    fetch_model(SOURCE, SHAPE, "short", output, Engine(), {"code": "abc"})
    assert output.read_bytes() == first
    (folder / "model.safetensors").write_bytes(b"Weights")
    fetch_model(SOURCE, SHAPE, "short", output, Engine(), {"code": "abc"})
    assert json.loads(output.read_text())["digest"] != manifest["digest"]


def test_a_model_of_another_shape_is_refused_with_the_right_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    answer(monkeypatch, NOW)
    monkeypatch.setattr(hub, "snapshot_download", lambda *_, **__: str(snapshot(tmp_path / "cache", hidden_size=128)))
    with pytest.raises(UserError) as refused:
        fetch_model(SOURCE, SHAPE, "short", tmp_path / "model.json", Engine(), {})
    assert str(refused.value) == ("models.short.shape differs from the model's config.json: set hidden: 128")
    assert not (tmp_path / "model.json").exists()


def test_the_locked_commit_is_fetched_and_not_todays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    answer(monkeypatch, LATER)
    Path("revisions.lock").write_text(json.dumps({"models": {"org/name": NOW}}))
    fetched: list[str] = []
    folder = snapshot(tmp_path / "cache")
    monkeypatch.setattr(hub, "snapshot_download", lambda *_, revision, **__: fetched.append(revision) or str(folder))
    fetch_model(SOURCE, SHAPE, "short", tmp_path / "model.json", Engine(), {})
    assert fetched == [NOW] and json.loads((tmp_path / "model.json").read_text())["source"]["revision"] == NOW
    with pytest.raises(
        UserError, match=f"model org/name: config.yaml pins revision {LATER}, revisions.lock says {NOW}"
    ):
        fetch_model(
            SOURCE.model_copy(update={"revision": LATER}), SHAPE, "short", tmp_path / "other.json", Engine(), {}
        )
    assert fetched == [NOW] and not (tmp_path / "other.json").exists()


def test_a_hub_out_of_reach_leaves_no_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    refuse(monkeypatch, LocalEntryNotFoundError("no"))
    with pytest.raises(UserError, match="model org/name is not in this machine's cache and the hub is off"):
        fetch_model(SOURCE.model_copy(update={"revision": NOW}), SHAPE, "short", tmp_path / "model.json", Engine(), {})
    assert not (tmp_path / "model.json").exists()


def test_half_a_download_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    answer(monkeypatch, NOW)
    folder = snapshot(tmp_path / "cache")
    (folder / "model.safetensors").unlink()
    monkeypatch.setattr(hub, "snapshot_download", lambda *_, **__: str(folder))
    with pytest.raises(UserError, match=r"has neither model\.safetensors nor model\.safetensors\.index\.json"):
        fetch_model(SOURCE, SHAPE, "short", tmp_path / "model.json", Engine(), {})
    assert not (tmp_path / "model.json").exists()
