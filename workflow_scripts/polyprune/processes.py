"""Which processes a number means, and whether one is at work. Imports little: every job begins with it."""

from __future__ import annotations

import hashlib
import os
import socket
from contextlib import suppress
from functools import lru_cache
from pathlib import Path


@lru_cache
def owner() -> str:
    """Stands for all processes that can see each other by their numbers, in 16 hex digits.

    They are of one machine since its last start, and there of one space of numbers: containers may have their own. The
    space alone would not do, for all machines call their first one the same.
    """
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        parts.append(os.readlink("/proc/self/ns/pid"))  # noqa: PTH115
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def is_alive(process: int) -> bool:
    """Whether a process of this number is at work among those that this one sees.

    Not so if it has ended and only nobody has asked for its exit code.
    """
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    with suppress(OSError):
        return Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    return True
