"""Registered models: what their manifests hold, and that a folder which is no longer the same is refused."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from polyprune.errors import UserError
from polyprune.model import registered
from polyprune.model.source import deciding_files, locate, read_manifest, write_manifest

CONFIG = {"architectures": ["LlamaForCausalLM"], "num_hidden_layers": 2}
DECIDING = {
    "config.json": json.dumps(CONFIG),
    "tokenizer.json": "{}",
    "model.safetensors": "weights",
    "tokenizer_config.json": '{"eos_token":"</s>"}',
    "special_tokens_map.json": "{}",
    "added_tokens.json": "{}",
}
OF_PROMPTS = {
    "chat_template.jinja": "{{ messages }}",
    "chat_template.json": "{}",
    "generation_config.json": '{"eos_token_id": 1}',
    "additional_chat_templates/tool.jinja": "{{ tools }}",
}
LONG_AGO = time.time() - 3600


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with all files that decide, at rest for an hour, those that prompts read, and one that is nothing."""
    folder = tmp_path / "model"
    for name, text in (DECIDING | OF_PROMPTS | {"README.md": "about"}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
        os.utime(folder / name, (LONG_AGO, LONG_AGO))
    return folder


def register(folder: Path, results: Path) -> Path:
    manifest = results / "model.json"
    write_manifest(manifest, {"kind": "folder", "path": str(folder)}, folder, {"code": "x"})
    return manifest


def rewrite(text: str, name: str) -> Callable[[Path], Any]:
    """Other content of the same length, put in place with the old times, as `cp --preserve` does."""

    def change(folder: Path) -> None:
        old = (folder / name).stat()
        (folder / name).write_text(text, encoding="utf-8")
        os.utime(folder / name, ns=(old.st_atime_ns, old.st_mtime_ns))

    return change


def test_the_manifest_holds_every_file_that_decides(model: Path, tmp_path: Path) -> None:
    manifest = read_manifest(register(model, tmp_path))
    assert manifest["files"] == {
        name: {"bytes": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest()}
        for name, text in DECIDING.items()
    }


@pytest.mark.parametrize("name", DECIDING)
def test_each_of_them_is_part_of_the_digest(model: Path, tmp_path: Path, name: str) -> None:
    before = read_manifest(register(model, tmp_path / "a"))["digest"]
    other = DECIDING[name].replace("</s>", "<s>") if name == "tokenizer_config.json" else DECIDING[name] + " "
    (model / name).write_text(other, encoding="utf-8")
    changed = read_manifest(register(model, tmp_path / "b"))["digest"]
    assert changed != before
    if name not in ("config.json", "tokenizer.json", "model.safetensors"):
        (model / name).unlink()
        assert read_manifest(register(model, tmp_path / "c"))["digest"] not in (before, changed)


def test_the_digest_knows_no_path(model: Path, tmp_path: Path) -> None:
    before = read_manifest(register(model, tmp_path / "a"))["digest"]
    shutil.copytree(model, tmp_path / "elsewhere")
    assert read_manifest(register(tmp_path / "elsewhere", tmp_path / "b"))["digest"] == before
    for name in ("README.md", *OF_PROMPTS):
        (model / name).write_text("more about it", encoding="utf-8")
    (model / "chat_template.json").unlink()
    assert read_manifest(register(model, tmp_path / "c"))["digest"] == before


CHANGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "weights of the same size and times": (rewrite("WEIGHTS", "model.safetensors"), "model.safetensors has SHA-256"),
    "longer tokens": (rewrite("{ }!", "added_tokens.json"), "added_tokens.json has 4 bytes, registered were 2"),
    "no special tokens": (lambda folder: (folder / "special_tokens_map.json").unlink(), "tokens_map.json is gone"),
    "another end of text": (rewrite('{"eos_token": "<s>"}', "tokenizer_config.json"), "_config.json has SHA-256"),
    "other shards": (lambda folder: (folder / "model.safetensors").unlink(), "has neither model.safetensors nor"),
    "a folder in a file's place": (
        lambda folder: ((folder / "tokenizer_config.json").unlink(), (folder / "tokenizer_config.json").mkdir()),
        "tokenizer_config.json is no file but a folder or device; put the model's file there",
    ),
    "no folder": (shutil.rmtree, "does not exist; put it back, or correct its path"),
    "a file for the folder": (
        lambda folder: (shutil.rmtree(folder), folder.write_text("x")),
        "is no folder; put it back",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_folder_that_changed_is_refused(model: Path, tmp_path: Path, name: str) -> None:
    manifest = register(model, tmp_path)
    assert locate(manifest) == model
    change, message = CHANGES[name]
    change(model)
    with pytest.raises(UserError, match=message.replace("(", r"\(")):
        locate(manifest)


def test_the_refusal_has_both_identities_and_what_to_type(model: Path, tmp_path: Path) -> None:
    manifest = register(model, tmp_path)
    rewrite("WEIGHTS", "model.safetensors")(model)
    rewrite("[]", "tokenizer.json")(model)
    with pytest.raises(UserError) as refused:
        locate(manifest)
    was, now = (hashlib.sha256(text).hexdigest()[:16] for text in (b"weights", b"WEIGHTS"))
    assert str(refused.value) == (
        f"{model} is not the model that {manifest} registered: model.safetensors has SHA-256 {now}…, registered was "
        f"{was}… (and 1 more files); restore the folder, or run snakemake again to take it as it is now, which makes "
        "all results of the model anew (-n shows them)"
    )


def test_a_manifest_of_an_older_version_says_what_to_do(model: Path, tmp_path: Path) -> None:
    manifest = register(model, tmp_path)
    later = ("files", "schema", "place", "seal")
    old = {key: value for key, value in read_manifest(manifest).items() if key not in later}
    manifest.write_text(json.dumps(old), encoding="utf-8")
    with pytest.raises(UserError, match=rf"{manifest} has no seal: it was made by an earlier version .*; delete it"):
        locate(manifest)


def test_changes_are_listed_for_who_asks_before_a_run(model: Path, tmp_path: Path) -> None:
    manifest = register(model, tmp_path)
    about = read_manifest(manifest)
    assert registered.changes(about, model, deciding_files(model)) == []
    (model / "added_tokens.json").unlink()
    rewrite("[]", "tokenizer.json")(model)
    found = registered.changes(about, model, deciding_files(model))
    assert [line.split(" ")[0] for line in found] == ["added_tokens.json", "tokenizer.json"]


def test_it_can_be_asked_before_a_run_without_torch() -> None:
    code = "import sys, polyprune.model.source; print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    packages = str(Path(registered.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": packages}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
