"""What a registration says of a model's files, and whether they are still the same. No torch.

A manifest (see `source.py`) holds size and SHA-256 of every file that decides results:

    "files": {"config.json": {"bytes": 714, "sha256": "<64 hex>"}, …}

`check_unchanged` compares the folder with it before anything is read from it. A file is read again only if its path,
size, times or inode are not those of a reading before, which `.cache/files.json` beside the manifest remembers: so
touching, copying or moving costs one reading, and nothing is remade.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from polyprune.artifacts.json_files import write_json
from polyprune.errors import UserError
from polyprune.provenance import file_digest

Files = dict[str, dict[str, Any]]
"""Of each file by its name in the folder: `bytes`, its size, and `sha256`."""

_SETTLED = 2.0
"""Seconds. A file touched later than this before its reading may change again within the resolution of its times."""


def describe(folder: Path, names: Iterable[str], manifest: Path) -> Files:
    """Sizes and digests of files of a folder; reads those whose digests are not remembered beside the manifest."""
    remembered = _remembered(manifest)
    known = dict(remembered)
    files: Files = {}
    for name in names:
        signature, settled = _signature(folder / name)
        sha256 = known.get(signature) or file_digest(folder / name)
        files[name] = {"bytes": (folder / name).stat().st_size, "sha256": sha256}
        if settled and _signature(folder / name)[0] == signature:
            known[signature] = sha256
    if known != remembered:
        _remember(manifest, known)
    return files


def changes(registered: Mapping[str, Any], folder: Path, names: Iterable[str], manifest: Path) -> list[str]:
    """What of a folder differs from its registration: a sentence a file, with both identities. Empty if nothing does.

    `names` are the files of the folder that decide today.
    """
    before: Files = registered["files"]
    now = set(names)
    found = [f"{name} is new" for name in sorted(now - set(before))]
    found += [f"{name} is gone" for name in sorted(set(before) - now)]
    kept = sorted(now & set(before))
    resized = {name: (folder / name).stat().st_size for name in kept}
    grown = [name for name in kept if resized[name] != before[name]["bytes"]]
    found += [f"{name} has {resized[name]:,} bytes, registered were {before[name]['bytes']:,}" for name in grown]
    same_size = [name for name in kept if name not in grown]
    for name, file in describe(folder, same_size, manifest).items():
        if file["sha256"] != before[name]["sha256"]:
            found.append(f"{name} has SHA-256 {file['sha256'][:16]}…, registered was {before[name]['sha256'][:16]}…")
    return found


def check_unchanged(registered: Mapping[str, Any], folder: Path, names: Iterable[str], manifest: Path) -> None:
    """Raises `UserError` where a model's folder is not what its manifest registered; names files and what to type."""
    if found := changes(registered, folder, names, manifest):
        more = f" (and {len(found) - 1} more files)" if len(found) > 1 else ""
        raise UserError(
            f"{folder} is not the model that {manifest} registered: {found[0]}{more}; restore the folder, or take it "
            f"as it is now, for which all results of the model are made anew: rm {manifest}, and run again"
        )


def _signature(file: Path) -> tuple[str, bool]:
    """What tells a file from another without reading it; and whether it has been at rest for a while."""
    stat = file.stat()
    parts = (file.resolve(), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
    return "|".join(map(str, parts)), time.time() - max(stat.st_mtime, stat.st_ctime) > _SETTLED


def _cache(manifest: Path) -> Path:
    return manifest.parent / ".cache" / "files.json"


def _remembered(manifest: Path) -> dict[str, str]:
    """Digests by signature; none if there are none yet, or if the file was damaged: then they are made again."""
    try:
        return dict(json.loads(_cache(manifest).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _remember(manifest: Path, known: Mapping[str, str]) -> None:
    """Keep digests for later; where this user may not write, each job reads the files itself."""
    try:
        write_json(_cache(manifest), dict(known))
    except OSError:
        return
