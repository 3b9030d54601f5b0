"""Disks that are too small, for processes of their own."""

from __future__ import annotations

import subprocess
from functools import cache


@cache
def may_mount() -> bool:
    """Whether this user may mount a file system in a namespace of its own."""
    try:
        tried = subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True)
    except FileNotFoundError:
        return False
    return tried.returncode == 0
