"""Files appear whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from polyprune.errors import UserError


def _is_out_of_space(error: Exception) -> bool:
    """Whether the disk is full or the quota used up; safetensors, written in Rust, says so in words only."""
    codes = (errno.ENOSPC, errno.EDQUOT)
    return getattr(error, "errno", None) in codes or any(f"(os error {code})" in str(error) for code in codes)


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is flushed to disk and renamed, else removed.

    Raises:
        UserError: the disk is full or the quota used up.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        yield part
        with part.open("rb+") as stream:
            os.fsync(stream.fileno())
        part.replace(path)
    except Exception as error:
        if _is_out_of_space(error):
            raise UserError(
                f"no space left for {path}: free some on its disk and run again; nothing was lost"
            ) from error
        raise
    finally:
        part.unlink(missing_ok=True)
