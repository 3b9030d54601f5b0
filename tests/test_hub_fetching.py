"""What jobs bring from a hub that answers as the real one does: whole, of the commit, and found again without it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.helpers.hub import LATER, NOW
from tests.helpers.hub_server import Repositories, hub_server
from tests.helpers.model_folders import SHAPE, good_folder

from polyprune.artifacts.benchmark_data import load_manifest
from polyprune.model.foreign.files import locate_checkpoint
from polyprune.model.source import locate

ROOT = Path(__file__).parents[1]
ASKED = "results/benchmarks/hub/asked.json"


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


def run(
    stage: str, repositories: Repositories, output: str, code: int = 0, **settings: Any
) -> subprocess.CompletedProcess[str]:
    """A stage as rules run it, which ends with this code."""
    command = [sys.executable, "-m", "polyprune", stage, "--settings", json.dumps(settings), "--output", output]
    with hub_server(repositories) as endpoint:
        environment = os.environ | {"HF_ENDPOINT": endpoint, "PYTHONPATH": str(ROOT / "workflow_scripts")}
        words = [*command, "--log", "job.log", "--threads", "1"]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stderr
    return done


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


def test_a_file_that_a_repository_has_not_is_named():
    source = {"kind": "gguf", "id": "org/name", "file": "a.gguf"}
    said = run("convert_model", {"org/name": {NOW: {"b.gguf": b""}}}, "m.json", 1, source=source, shape=None, name="m")
    assert f"error: model org/name has no file a.gguf at {NOW}: correct `file`, as https://hugg" in said.stderr


def fetch_data(commit: str, commits: dict[str, dict[str, bytes]], code: int = 0) -> subprocess.CompletedProcess[str]:
    """A benchmark's data set at the commit that the lock file says."""
    Path("revisions.lock").write_text(json.dumps({"datasets": {"org/asked": commit}}))
    repositories = {"datasets/org/asked": commits} if commits else {}
    return run("fetch_benchmark", repositories, ASKED, code, datasets=["org/asked"], mkqa_commit=None)


def data() -> dict[str, bytes]:
    folder = load_manifest(Path(ASKED)).folder / "org/asked"
    files = (file for file in folder.rglob("*") if file.is_file())
    names = {file.relative_to(folder).as_posix(): file for file in files}
    return {name: file.read_bytes() for name, file in names.items() if not name.startswith(".")}


def test_of_another_commit_no_file_stays():
    """Data sets are read by patterns, as data/test-*: a file that stayed would be asked, too."""
    commits = {NOW: {"data/test-1-of-1.jsonl": b"{}", "README.md": b"1"}}
    fetch_data(NOW, commits)
    assert data() == commits[NOW]
    commits[LATER] = {"data/test-1-of-2.jsonl": b"{}", "data/test-2-of-2.jsonl": b"[]", "README.md": b"2"}
    fetch_data(LATER, commits)
    assert data() == commits[LATER]
    assert load_manifest(Path(ASKED)).revisions == {"org/asked": LATER}


def test_another_commit_is_not_taken_for_the_one_that_cannot_be_had():
    fetch_data(NOW, {NOW: {"data/test.jsonl": b"{}"}})
    Path(ASKED).unlink()
    assert "dataset org/asked " in fetch_data(LATER, {}, code=1).stderr
    assert not Path(ASKED).exists()


def test_a_download_that_was_cut_off_goes_on():
    part = Path(ASKED).with_suffix("") / "org" / f"asked.{NOW}.part"
    fetch_data(NOW, {NOW: {"a.jsonl": b"1"}})
    folder = part.with_name("asked")
    folder.rename(part)
    before = (part / "a.jsonl").stat().st_ino
    fetch_data(NOW, {NOW: {"a.jsonl": b"1"}})
    assert (folder / "a.jsonl").stat().st_ino == before and not part.exists()
