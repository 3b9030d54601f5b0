"""Manifest of a benchmark's data, `results/benchmarks/{source}/{benchmark}.json`, schema `benchmark/3`: where they lie
and what they are.

    {"benchmark": "arc", "folder": "arc",
     "datasets": {"allenai/ai2_arc": "<commit on the hub, or digest of the files>"},
     "digests": {"allenai/ai2_arc": "<digest of the files>"}, "provenance": {…}}

`folder` holds one folder a data set, in the hub's layout: `{folder}/{organisation}/{name}/README.md` and data files. It
is beside the manifest, or a reference to a folder of the user's (`places.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyprune.artifacts.identity import ForeignError, Header, again
from polyprune.artifacts.json_files import load_record, save_record
from polyprune.artifacts.known_digests import known_digest
from polyprune.errors import UserError
from polyprune.places import is_reference, path_at
from polyprune.provenance import canonical_json, digest

SCHEMA = "benchmark/3"
DigestOf = Callable[[Path], str]
MKQA_FILE = "mkqa.jsonl.gz"
"""The one file of MKQA, in the folder of its data set."""


@dataclass(frozen=True)
class BenchmarkData:
    """A benchmark's data on this machine; `revisions` by data set."""

    folder: Path
    revisions: Mapping[str, str]

    def revision(self, dataset: str) -> str:
        """Raises `UserError` if the data set was not there when the data were described."""
        if dataset not in self.revisions:
            raise UserError(f"{self.folder} has no {dataset}: put it there, in the hub's layout (data/README.md)")
        return self.revisions[dataset]

    @property
    def digest(self) -> str:
        return digest(canonical_json(dict(self.revisions)))


def save_manifest(path: Path, folder: str, revisions: Mapping[str, str], provenance: Mapping[str, Any]) -> None:
    """Describe data that lie in their folder; raises `UserError` if they do not."""
    digests = {name: folder_digest(folder_of(path, folder) / name) for name in revisions}
    found = {"folder": folder, "datasets": dict(revisions), "digests": digests}
    save_record(path, SCHEMA, {"benchmark": path.stem, **found, "provenance": dict(provenance)})


def load_manifest(path: Path, expected: Header | None = None) -> BenchmarkData:
    """Raises `UserError` if the manifest is not what was asked for, or the data are no longer what it describes."""
    content = read_registered(path, expected)
    require_data(path, content)
    return BenchmarkData(folder_of(path, content["folder"]), content["datasets"])


def read_registered(path: Path, expected: Header | None = None) -> dict[str, Any]:
    """What the manifest says, without a look at the data."""
    return load_record(path, SCHEMA, expected)


def folder_of(path: Path, folder: str) -> Path:
    """Where the data lie that the manifest at `path` describes as being in `folder`."""
    return path_at(folder) if is_reference(folder) else path.parent / folder


def require_data(path: Path, content: Header, digest_of: DigestOf = known_digest) -> None:
    """Compare the data with what their manifest says; raises `UserError` if they are gone or others."""
    folder = folder_of(path, content["folder"])
    for name, wanted in content["digests"].items():
        if not (folder / name).is_dir():
            raise UserError(f"{path} names {folder / name}, which does not exist; {again(path)}")
        if (found := folder_digest(folder / name, digest_of)) != wanted:
            raise ForeignError(f"{folder / name} has digest {found}, {path} says {wanted}; {again(path)}")


def present(root: Path, datasets: Sequence[str]) -> list[str]:
    """Those data sets that have a folder in the user's `root`: a study needs those of its languages.

    Raises:
        UserError: none has.
    """
    found = [name for name in datasets if (root / name).is_dir()]
    if not found:
        raise UserError(
            f"{root} has none of the data sets {', '.join(datasets)}; it should have those of the study's languages, "
            "in the hub's layout (data/README.md)"
        )
    return found


def folder_digest(folder: Path, digest_of: DigestOf = known_digest) -> str:
    """Identifies the files of a data set by names and content. Hidden files do not count.

    `digest_of` gives a file's SHA-256: `file_digest` reads it in any case.

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
    return digest(*(text for file in files for text in (file.relative_to(folder).as_posix(), digest_of(file))))
