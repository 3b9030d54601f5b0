"""Snakemake's records of what it made, read more quickly: two for each file of a finished study.

Snakemake looks whether a record is there, works out its place anew, opens it as text and checks the type of each entry.
Here it is opened once, as bytes; those who need an entry or two do without the check.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snakemake.persistence.file import FilePersistence

_THEIRS: Any = FilePersistence._io_read


def read_records_quickly() -> None:
    """Put `_io_read` in the place of Snakemake's own."""
    theirs: Any = FilePersistence
    theirs._io_read = _io_read


def record_of(persistence: Any, output: Any) -> Mapping[str, Any] | None:
    """Entries of Snakemake's record of a file; None if it has none."""
    if isinstance(persistence, FilePersistence):
        return persistence._io_read(persistence._metadata_path, str(output)) or None
    return persistence.metadata(output)


def _io_read(persistence: Any, folder: str, name: str) -> dict[str, Any]:
    """A record, empty if there is none; one that is damaged is left to Snakemake, which says so."""
    try:
        return json.loads(Path(persistence._record_path(folder, name)).read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        return _THEIRS(persistence, folder, name)
