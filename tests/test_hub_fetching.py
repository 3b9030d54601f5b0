"""What jobs bring from a hub that answers as the real one does: whole, of the commit, and found again without it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.helpers.hub import NOW
from tests.helpers.hub_server import Repositories, hub_server
from tests.helpers.model_folders import SHAPE, good_folder

from polyprune.model.foreign.files import locate_checkpoint
from polyprune.model.source import locate

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def safetensors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A repository of a model, with more files than a checkpoint is read from."""
    folder = good_folder(tmp_path_factory.mktemp("model"))
    return {file.name: file.read_bytes() for file in folder.iterdir()} | {"README.md": b"---\n---\n"}


@pytest.fixture(scope="module")
def pickled(safetensors: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The same with its weights in a pickle."""
    import torch
    from safetensors.torch import load

    file = tmp_path_factory.mktemp("pickles") / "pytorch_model.bin"
    torch.save(load(safetensors["model.safetensors"]), file)
    rest = {name: content for name, content in safetensors.items() if name != "model.safetensors"}
    return rest | {file.name: file.read_bytes()}


@pytest.fixture(autouse=True)
def of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder to work in, with the lock file and the hub's cache; nothing else is said of the hub."""
    for name in [name for name in os.environ if name.startswith(("HF_", "POLYPRUNE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "home" / "hub"))


def run(stage: str, repositories: Repositories, output: str, **settings: Any) -> None:
    """A stage as rules run it."""
    command = [sys.executable, "-m", "polyprune", stage, "--settings", json.dumps(settings), "--output", output]
    with hub_server(repositories) as endpoint:
        environment = os.environ | {"HF_ENDPOINT": endpoint, "PYTHONPATH": str(ROOT / "workflow_scripts")}
        words = [*command, "--log", "job.log", "--threads", "1"]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_a_checkpoint_of_the_hub_is_fetched_and_found_again(safetensors: dict[str, bytes]):
    """Of which neither tokenizer nor anything else is fetched, or missed, that no cell is read from."""
    output = "results/mine/wanda@theirs/0.50/de/seed0/checkpoint.json"
    source = {"kind": "hub", "id": "org/name", "pickles": False}
    run("register_checkpoint", {"org/name": {NOW: safetensors}}, output, source=source)
    folder = locate_checkpoint(Path(output))
    assert {file.name for file in folder.iterdir()} == {"config.json", "model.safetensors"}
    assert (folder / "model.safetensors").read_bytes() == safetensors["model.safetensors"]


def test_a_checkpoint_of_pickles_is_fetched_and_found_again(pickled: dict[str, bytes]):
    output = "results/mine/wanda@theirs/0.50/de/seed0/checkpoint.json"
    source = {"kind": "hub", "id": "org/name", "pickles": True}
    run("register_checkpoint", {"org/name": {NOW: pickled}}, output, source=source)
    assert (locate_checkpoint(Path(output)) / "pytorch_model.bin").read_bytes() == pickled["pytorch_model.bin"]


def test_a_model_of_the_hub_is_fetched_and_found_again(safetensors: dict[str, bytes]):
    source = {"kind": "hub", "id": "org/name"}
    run("fetch_model", {"org/name": {NOW: safetensors}}, "results/m/model.json", source=source, shape=None, name="m")
    folder = locate(Path("results/m/model.json"))
    assert {file.name for file in folder.iterdir()} == {*safetensors} - {"README.md"}


def test_a_pickled_model_of_the_hub_is_fetched_and_converted(pickled: dict[str, bytes]):
    source = {"kind": "pickles", "id": "org/name"}
    repositories = {"org/name": {NOW: pickled}}
    run("convert_model", repositories, "results/m/model.json", source=source, shape=SHAPE.model_dump(), name="m")
    assert (locate(Path("results/m/model.json")) / "model.safetensors").is_file()
    run("register_prompting", {}, "results/m/prompting.json", model="results/m/model.json")
