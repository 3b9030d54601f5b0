"""Digests of code that tests edit, and of files by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from polyprune import provenance


def clear_caches() -> None:
    cached = ("code_digest", "import_closure", "_imported_files", "_tree", "_module_file", "_essence")
    for name in cached:
        getattr(provenance, name).cache_clear()


def digest_by_hand(parts: Sequence[str | Path]) -> str:
    """16 digits of SHA-256 over texts and, of files, their own SHA-256, each after its length in eight bytes."""
    sha = hashlib.sha256()
    for part in parts:
        text = part if isinstance(part, str) else hashlib.sha256(part.read_bytes()).hexdigest()
        sha.update(len(text).to_bytes(8, "little") + text.encode())
    return sha.hexdigest()[:16]
