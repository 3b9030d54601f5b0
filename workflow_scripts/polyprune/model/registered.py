"""What a registration says of a model's files, and whether they are still the same. No torch.

A manifest (see `source.py` and `prompting.py`) holds size and SHA-256 of every file that decides results:

    "files": {"config.json": {"bytes": 714, "sha256": "<64 hex>"}, …}

`check_unchanged` compares the folder with it before anything is read from it, `changes` does so when a run is planned.
A file that was read before is not read again (`artifacts/known_digests.py`): so touching, copying or moving costs one
reading, and nothing is remade.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from polyprune.artifacts.model_files import TOKENIZER_CONFIG, Files, describe
from polyprune.errors import UserError
from polyprune.hub import require_as_named


def changes(registered: Mapping[str, Any], folder: Path, names: Iterable[str], prompting: bool = False) -> list[str]:
    """What of a folder differs from its registration: a sentence a file, with both identities. Empty if nothing does.

    `names` are the files of the folder that decide today.

    Raises:
        UserError: a file that differs lies in the hub's cache and is not what the hub has: it is damaged.
    """
    before: Files = registered["files"]
    now = set(names)
    found = [f"{name} is new" for name in sorted(now - set(before))]
    found += [f"{name} is gone" for name in sorted(set(before) - now)]
    kept = sorted(now & set(before))
    whole = [name for name in kept if Path(name).name != TOKENIZER_CONFIG]
    resized = {name: (folder / name).stat().st_size for name in whole}
    grown = [name for name in whole if resized[name] != before[name]["bytes"]]
    found += [f"{name} has {resized[name]:,} bytes, registered were {before[name]['bytes']:,}" for name in grown]
    read = describe(folder, [name for name in kept if name not in grown], prompting)
    others = [name for name, file in read.items() if file["sha256"] != before[name]["sha256"]]
    found += [
        f"{name} has SHA-256 {read[name]['sha256'][:16]}…, registered was {before[name]['sha256'][:16]}…"
        for name in others
    ]
    require_as_named(folder, grown + others)
    return found


def check_unchanged(
    registered: Mapping[str, Any], folder: Path, names: Iterable[str], manifest: Path, prompting: bool = False
) -> None:
    """Raises `UserError` where a model's folder is not what its manifest registered; names files and what to type."""
    if found := changes(registered, folder, names, prompting):
        more = f" (and {len(found) - 1} more files)" if len(found) > 1 else ""
        of_model = "prompts, evaluations and exports of the model" if prompting else "all results of the model"
        raise UserError(
            f"{folder} is not the model that {manifest} registered: {found[0]}{more}; restore the folder, or run "
            f"snakemake again to take it as it is now, which makes {of_model} anew (-n shows them)"
        )
