"""An exported cell: a model folder for other programs, and `polyprune.json` in it, schema `export/2`, which is ours.

    {"cell": {…}, "files": {"config.json": {"bytes": 714, "xxh3_128": "<32 hex>"}, …}, …}

`cell` is what the cell's header says of its job. The files are all others of the folder. So a folder that was copied or
published proves that it is whole, as the checkpoint of a trained model does by the manifest beside it. That identifies
a model and has SHA-256; reading an export so would take an eighth of the time of writing it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from polyprune.artifacts.identity import DamagedError, Header, again
from polyprune.artifacts.json_files import save_record
from polyprune.artifacts.seals import digest_of_file, unreadable

SCHEMA = "export/2"
RECORD = "polyprune.json"
CONFIG = "config.json"
"""What the workflow asks for; it appears when everything else is there."""
_KINDS = {"sha256": "SHA-256", "xxh3_128": "XXH3-128"}
"""Digests, by their entries."""


def save_export_record(folder: Path, about: Mapping[str, Any], config: Path) -> None:
    """Write the record of all files that are in the folder, and of `config`, which will be its config.json."""
    beside = sorted(file for file in folder.iterdir() if file.name != RECORD and file != config)
    files = {file.name: _description(file) for file in beside} | {CONFIG: _description(config)}
    save_record(folder / RECORD, SCHEMA, {**about, "files": files})


def _description(file: Path) -> dict[str, Any]:
    return {"bytes": file.stat().st_size, "xxh3_128": digest_of_file(file)}


def require_files(
    folder: Path,
    files: Mapping[str, Header],
    target: Path,
    describe: Callable[[Path], Mapping[str, Any]] = _description,
) -> None:
    """Compare a folder with the list of its files; `target` is what is asked for to have it made again.

    Raises:
        UserError: a file cannot be read at present.
        DamagedError: one is missing, or has another size or digest.
    """
    for name, wanted in files.items():
        file = folder / name
        try:
            found = describe(file)
        except FileNotFoundError as error:
            raise DamagedError(f"{file} is gone; {again(target)}") from error
        except OSError as error:
            raise unreadable(file, error) from error
        if found != wanted:
            kind = next(kind for kind in _KINDS if kind in wanted)
            same_size = found["bytes"] == wanted["bytes"]
            said = f"has {_KINDS[kind]} {found[kind][:16]}…" if same_size else f"has {found['bytes']:,} bytes"
            raise DamagedError(
                f"{file} is damaged: it {said}, recorded were {wanted['bytes']:,} bytes with {wanted[kind][:16]}…; "
                f"{again(target)}"
            )
