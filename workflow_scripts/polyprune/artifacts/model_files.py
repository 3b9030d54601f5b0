"""Size and SHA-256 of files of a model folder, as manifests list them.

    {"config.json": {"bytes": 714, "sha256": "<64 hex>"}, …}

tokenizer_config.json is of two parts: chat templates may stand in it, which matter to prompts only. Each manifest has
its part, as canonical JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

from polyprune.artifacts.json_files import read_object
from polyprune.artifacts.known_digests import known_digest
from polyprune.provenance import canonical_json

Files = dict[str, dict[str, Any]]
"""Of each file by its name in the folder: `bytes`, its size, and `sha256`."""
TOKENIZER_CONFIG = "tokenizer_config.json"
TEMPLATES = "chat_template"
"""The entry of tokenizer_config.json that only prompts use."""


def describe(folder: Path, names: Iterable[str], prompting: bool = False) -> Files:
    """Sizes and digests of files of a folder; of tokenizer_config.json what prompting uses, or all else."""
    return {name: description(folder / name, prompting, known_digest) for name in names}


def description(file: Path, prompting: bool, sha256_of: Callable[[Path], str]) -> dict[str, Any]:
    """Of one file; raises `UserError` for a tokenizer_config.json that is none."""
    if file.name != TOKENIZER_CONFIG:
        return {"bytes": file.stat().st_size, "sha256": sha256_of(file)}
    entries = read_object(file).items()
    part = canonical_json({name: value for name, value in entries if (name == TEMPLATES) == prompting}).encode()
    return {"bytes": len(part), "sha256": sha256(part).hexdigest()}
