"""Stand-ins for the hub: it answers with a commit, or refuses; and data sets that are read as the hub's would be."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import HfApi
from huggingface_hub.utils.sha import git_hash

from polyprune import hub
from polyprune.settings.text import HubCorpus, HubPrompts

NOW, LATER = "a" * 40, "b" * 40
Rows = Sequence[Mapping[str, Any]]
WEB: dict[str, Rows] = {
    "m/c4-de.tfrecord-00000.json.gz": [{"text": text, "url": "a"} for text in ("eins", " \n", "zwei")],
    "m/c4-de.tfrecord-00001.json.gz": [{"text": "drei", "url": "d"}, {"text": "vier", "url": "e"}],
    "m/c4-de-validation.tfrecord-00000.json.gz": [{"text": "zwei", "url": "f"}, {"text": "fünf 语", "url": "g"}],
}
"""German text in C4's layout: a blank document, and one that is also in the validation part."""


def answer(monkeypatch: pytest.MonkeyPatch, sha: str | None) -> list[tuple[str, str]]:
    """Let the hub name `sha` as today's commit; the questions it is asked."""
    asked: list[tuple[str, str]] = []

    def repo_info(_self: HfApi, name: str, repo_type: str) -> SimpleNamespace:
        asked.append((repo_type, name))
        return SimpleNamespace(sha=sha)

    monkeypatch.setattr(HfApi, "repo_info", repo_info)
    return asked


def refuse(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def raise_error(*_: Any, **__: Any) -> None:
        raise error

    for method in ("repo_info", "list_repo_files"):
        monkeypatch.setattr(HfApi, method, raise_error)
    monkeypatch.setattr(hub, "snapshot_download", raise_error)


def serve_data_set(
    folder: Path, files: Mapping[str, Rows], monkeypatch: pytest.MonkeyPatch, name: str = "org/web"
) -> None:
    """A data set's repository in `folder`, which the hub lists in no particular order."""
    root = folder / f"{name}@{NOW}"
    for file, rows in files.items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (root / file).write_bytes(gzip.compress(text.encode()) if file.endswith(".gz") else text.encode())
    monkeypatch.setattr(HfApi, "list_repo_files", lambda *_, **__: [*reversed(list(files)), "README.md"])
    monkeypatch.setattr(hub, "DATASET_FILES", f"{folder}/")


def fill_cache(cache: Path, model: Path, name: str = "org/name", revision: str = NOW) -> Path:
    """Put a model folder into a cache as the hub's library lays it out; the snapshot's folder of links."""
    repository = cache / f"models--{name.replace('/', '--')}"
    snapshot, blobs = repository / "snapshots" / revision, repository / "blobs"
    for file in sorted(file for file in model.rglob("*") if file.is_file()):
        content, link = file.read_bytes(), snapshot / file.relative_to(model)
        is_large = file.suffix == ".safetensors"
        blob = blobs / (hashlib.sha256(content).hexdigest() if is_large else git_hash(content))
        for path in (blob, link):
            path.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(content)
        link.symlink_to(os.path.relpath(blob, link.parent))
    return snapshot


def web_corpus(**changes: Any) -> HubCorpus:
    """Settings that ask for three documents of `WEB` for calibration, and for all of the validation part."""
    parts = {"calibration": "", "evaluation": "-validation"}
    files = {split: f"m/c4-{{language}}{part}.tfrecord-*.json.gz" for split, part in parts.items()}
    values = {"kind": "hub", "languages": ["de"], "dataset": "org/web", "revision": NOW, "files": files}
    return HubCorpus.model_validate({**values, "documents": {"calibration": 3, "evaluation": 5}, **changes})


def hub_prompts(n_prompts: int = 2, revision: str | None = None) -> HubPrompts:
    codes = {"de": "deu_Latn"}
    return HubPrompts(kind="hub", dataset="org/questions", revision=revision, codes=codes, n_prompts=n_prompts)
