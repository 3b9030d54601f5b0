"""Manifest of a benchmark's data, `results/benchmarks/{source}/{benchmark}.json`: where they lie and what they are.

    {"folder": "arc", "datasets": {"allenai/ai2_arc": "<commit on the hub, or digest of the files>"}, "provenance": {…}}

`folder` holds one folder a data set, in the hub's layout: `{folder}/{organisation}/{name}/README.md` and data files. It
is beside the manifest, or absolute for a folder of the user's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyprune.artifacts.atomic import atomic_write
from polyprune.errors import UserError
from polyprune.provenance import canonical_json, digest, file_digest

MKQA_FILE = "mkqa.jsonl.gz"
"""The one file of MKQA, in the folder of its data set."""


@dataclass(frozen=True)
class BenchmarkData:
    """A benchmark's data on this machine; `revisions` by data set."""

    folder: Path
    revisions: Mapping[str, str]

    @property
    def digest(self) -> str:
        return digest(canonical_json(dict(self.revisions)))


def save_manifest(path: Path, folder: str, revisions: Mapping[str, str], provenance: Mapping[str, Any]) -> None:
    content = {"folder": folder, "datasets": dict(revisions), "provenance": dict(provenance)}
    with atomic_write(path) as part:
        part.write_text(json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def load_manifest(path: Path) -> BenchmarkData:
    """Raises `UserError` if the data are no longer there."""
    content = json.loads(path.read_text(encoding="utf-8"))
    folder = path.parent / content["folder"]
    for name in content["datasets"]:
        if not (folder / name).is_dir():
            raise UserError(f"{path} names {folder / name}, which does not exist; delete the manifest and run again")
    return BenchmarkData(folder, content["datasets"])


def folder_digest(folder: Path) -> str:
    """Identifies the files of a data set by names and content. Hidden files do not count.

    Raises:
        UserError: no such folder, or an empty one.
    """
    files = sorted(
        file
        for file in folder.rglob("*")
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    )
    if not files:
        raise UserError(f"{folder} does not exist or is empty; it should be a data set in the hub's layout")
    return digest(*(text for file in files for text in (file.relative_to(folder).as_posix(), file_digest(file))))
