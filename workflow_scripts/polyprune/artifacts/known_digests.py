"""SHA-256 of files that others wrote, read once: a file is read again only if it is no longer the one that was read.

What tells a file from another without reading it are its path, size, times (of content and of inode, in nanoseconds)
and inode, as build systems have it. Digests are remembered by these in the user's cache folder, a small file for each
file that was read; where none can be written, files are read each time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from polyprune.provenance import digest, file_digest

_SETTLED = 2.0
"""Seconds. A file touched later than this before its reading may change again within the resolution of its times."""


def known_digest(file: Path, of: Callable[[Path], str] | None = None) -> str:
    """SHA-256 of a file, or of what `of` takes of it, 64 hex digits."""
    signature, settled = _signature(file)
    memory = memory_of(file, of.__name__ if of else "")
    if memory and (sha256 := _remembered(memory, signature)):
        return sha256
    sha256 = (of or file_digest)(file)
    if memory and settled and _signature(file)[0] == signature:
        remember(memory, f"{signature}\n{sha256}\n")
    return sha256


def _signature(file: Path) -> tuple[str, bool]:
    """What tells a file from another; and whether it has been at rest for a while."""
    stat = file.stat()
    parts = (file.resolve(), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
    return digest(*map(str, parts)), time.time() - max(stat.st_mtime, stat.st_ctime) > _SETTLED


def memory_of(file: Path, of: str = "") -> Path | None:
    """The file of the cache that is about this one, or about a part; None for a user without a home."""
    try:
        around = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        return None
    return around / "polyprune" / "digests" / digest(str(file.resolve()), *filter(None, [of]))


def _remembered(memory: Path, signature: str) -> str | None:
    """The digest of a file with this signature; None if there is none yet, or if the memory was damaged."""
    try:
        found, sha256 = memory.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return None
    return sha256 if found == signature and len(sha256) == 64 else None


def remember(memory: Path, text: str) -> None:
    """Keep a digest for later; where this user may not write, each job reads the file itself.

    It appears whole, and is not waited for until it is on the disk: one that is lost is worked out again.
    """
    part = memory.with_name(f"{memory.name}.{os.getpid()}.part")
    with suppress(OSError):
        memory.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="ascii")
        part.replace(memory)
