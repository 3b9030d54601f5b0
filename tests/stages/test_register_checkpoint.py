"""A checkpoint is found, in a folder or on the hub, and identified by what decides a cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.helpers.foreign import write_folder
from tests.helpers.hub import NOW, answer

from polyprune import hub
from polyprune.errors import UserError
from polyprune.model.foreign.files import locate_checkpoint, read_checkpoint_manifest
from polyprune.places import export_places, reference
from polyprune.settings.imports import FolderCheckpoint, HubCheckpoint
from polyprune.stages.register_checkpoint import register_checkpoint

PLACE = reference("imports", "m", "wanda@tool", "0.50", "de", "seed0")
FOLDER = FolderCheckpoint(kind="folder", path=PLACE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = write_folder(tmp_path / "theirs", {"a.weight": torch.ones(2, 2)}, {"quant_method": "gptq"})
    (made / "tokenizer.json").write_text("{}")
    return made


def register(folder: Path) -> dict[str, Any]:
    export_places({PLACE.removeprefix("outside:"): str(folder)})
    output = folder.parent / "results" / "checkpoint.json"
    register_checkpoint(FOLDER, output, {"code": "abc"})
    assert locate_checkpoint(output) == folder
    return read_checkpoint_manifest(output)


def test_a_folder_is_identified_by_weights_and_how_they_are_packed(folder: Path) -> None:
    first = register(folder)
    assert first["source"] == {"kind": "folder", "path": PLACE, "pickles": False}
    assert set(first["files"]) == {"config.json", "model.safetensors"}
    (folder / "tokenizer.json").write_text("{ }")
    moved = folder.rename(folder.with_name("elsewhere"))
    assert register(moved)["digest"] == first["digest"]
    (moved / "quantize_config.json").write_text("{}")
    assert register(moved)["digest"] != first["digest"]


def test_what_is_no_whole_checkpoint_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(UserError, match="say `pickles: true`"):
        register(folder)
    with pytest.raises(UserError, match=r"checkpoint .* does not exist"):
        register(folder.parent / "nowhere")


def test_a_changed_checkpoint_is_refused_where_it_is_read(folder: Path) -> None:
    register(folder)
    write_folder(folder, {"a.weight": torch.zeros(2, 2)}, {"quant_method": "gptq"})
    with pytest.raises(UserError, match=r"model.safetensors has SHA-256 .*, registered was "):
        locate_checkpoint(folder.parent / "results" / "checkpoint.json")


def test_a_repository_is_fetched_at_one_commit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    answer(monkeypatch, NOW)
    asked: list[Any] = []

    def snapshot_download(name: str, **how: Any) -> str:
        asked.append((name, how["revision"], how.get("local_files_only", False), how["allow_patterns"]))
        return str(folder)

    monkeypatch.setattr(hub, "snapshot_download", snapshot_download)
    output = Path("results/checkpoint.json")
    register_checkpoint(HubCheckpoint(kind="hub", id="org/theirs", pickles=True), output, {})
    assert read_checkpoint_manifest(output)["source"] == {
        "kind": "hub", "id": "org/theirs", "revision": NOW, "pickles": True,
    }  # fmt: skip
    assert locate_checkpoint(output) == folder
    assert [each[:3] for each in asked] == [("org/theirs", NOW, False), ("org/theirs", NOW, True)]
    assert {"config.json", "*.safetensors", "pytorch_model*.bin"} <= set(asked[0][3])
