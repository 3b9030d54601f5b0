"""Folders that a run is to write into and may not: said before the first job, where Snakemake ends in a traceback."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from polyprune.errors import UserError


def require_writable(files: Iterable[str]) -> None:
    """`files` are what is to be made; asked is the folder of each or, where it is not there, the nearest above it.

    Raises:
        UserError: one may not be written, or is a link to nowhere; says what to do.
    """
    for folder in sorted({_there(Path(file).absolute().parent) for file in files}):
        if not folder.exists():
            raise UserError(f"{_named(folder)} is a link to a folder that is not there: mkdir -p {folder.resolve()}")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise UserError(f"{_named(folder)} cannot be written, and nothing was begun: {_way_out(folder)}")


def _there(folder: Path) -> Path:
    """The nearest folder upwards that is there; a link to nowhere is."""
    return next(place for place in (folder, *folder.parents) if os.path.lexists(place))


def _named(folder: Path) -> str:
    """As a user would, who is in the repository."""
    return str(folder.relative_to(Path.cwd()) if Path.cwd() in folder.parents else folder)


def _way_out(folder: Path) -> str:
    owner = folder.stat().st_uid
    if owner == os.getuid():
        return f"chmod u+w {_named(folder)} (if its disk may be written at all)"
    try:
        name = folder.owner()
    except KeyError:
        name = f"user {owner}"
    return f"it belongs to {name}, who may allow it; or work in a clone of your own"
