"""Where the library `datasets` keeps the tables that it makes of a benchmark's files.

It locks them, so that jobs side by side make them once. Some file systems of clusters have no locks (errno 37): there
each job makes its own, in its temporary folder, and needs none.
"""

from __future__ import annotations

import fcntl
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import datasets.builder
from filelock import SoftFileLock


@contextmanager
def data_cache(shared: Path) -> Iterator[Path]:
    """A folder for tables, to be used within: `shared`, or one of this job's own."""
    if has_locks(shared):
        yield shared
        return
    locked = datasets.builder.FileLock
    datasets.builder.FileLock = SoftFileLock  # type: ignore[assignment, misc]
    try:
        with TemporaryDirectory(prefix="polyprune-data-") as own:
            yield Path(own)
    finally:
        datasets.builder.FileLock = locked  # type: ignore[misc]


def has_locks(folder: Path) -> bool:
    """Whether files in a folder, which is made if need be, can be locked."""
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".lock-{secrets.token_hex(4)}"
    try:
        with probe.open("wb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
    except OSError:
        return False
    finally:
        probe.unlink(missing_ok=True)
    return True
