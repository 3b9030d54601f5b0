"""Files appear whole or not at all.

A file is written under a name of its own beside the final one, `{name}.{owner}-{pid}-{random}.part`: several writers
of one file do not disturb each other, and the last to finish has the name. `owner` stands for the machine since its
last start and, within it, for a space of process numbers. What a killed job left goes when the file is next written:
at once if its process is known to be gone, else when nobody has touched it for a day.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from polyprune.errors import UserError
from polyprune.processes import is_alive, owner

PART = ".part"
_A_DAY = 86_400


_FULL = (errno.ENOSPC, errno.EDQUOT)
_TOO_LARGE = (errno.EFBIG,)
_CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS)


def _is_of(codes: tuple[int, ...], error: Exception) -> bool:
    """Whether the system says one of these; safetensors, written in Rust, says so in words only."""
    return getattr(error, "errno", None) in codes or any(f"(os error {code})" in str(error) for code in codes)


def trouble_of_disk(path: Path, error: Exception) -> str | None:
    """What to tell of an error of the system when `path` was written, by whichever library; None for other errors."""
    if _is_of(_FULL, error):
        return f"no space left for {path}: free some on its disk and run again; nothing was lost"
    if _is_of(_TOO_LARGE, error):
        return (
            f"{path} is larger than a file may be here: raise the limit (ulimit -f), or put results on another file "
            "system; nothing was lost"
        )
    if _is_of(_CLOSED, error):
        return (
            f"{path} cannot be written: see to the permissions of its folder, or have results of your own; nothing was "
            "lost"
        )
    return None


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is flushed to disk and renamed, else removed.

    The file gets the permissions that the umask gives to new files, whatever wrote it.

    Raises:
        UserError: the disk is full, the quota used up, the file too large, or nothing may be written.
    """
    part = path.with_name(f"{path.name}.{owner()}-{os.getpid()}-{secrets.token_hex(4)}{PART}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path)
        mode = _create(part)
        yield part
        part.chmod(mode)
        with part.open("rb+") as stream:
            os.fsync(stream.fileno())
        part.replace(path)
    except Exception as error:
        if said := trouble_of_disk(path, error):
            raise UserError(said) from error
        raise
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def share(folder: Path) -> None:
    """Give the files of a folder, written by another library, the permissions that new files get."""
    probe = folder / f".{secrets.token_hex(4)}{PART}"
    mode = _create(probe)
    probe.unlink()
    for file in folder.iterdir():
        if file.is_file():
            file.chmod(mode)


def sweep(path: Path) -> None:
    """Remove what killed writers of this file left beside it."""
    name = re.compile(re.escape(path.name) + r"\.([0-9a-f]{16})-([0-9]+)-[0-9a-f]{8}" + re.escape(PART))
    for entry in path.parent.iterdir():
        if (found := name.fullmatch(entry.name)) and _is_abandoned(entry, found[1], int(found[2])):
            entry.unlink(missing_ok=True)


def _create(path: Path) -> int:
    """Make an empty file; the permissions that it got."""
    with path.open("xb") as stream:
        return os.fstat(stream.fileno()).st_mode & 0o777


def _is_abandoned(part: Path, of: str, process: int) -> bool:
    if of == owner():
        return not is_alive(process)
    with suppress(FileNotFoundError):
        return time.time() - part.stat().st_mtime > _A_DAY
    return False
