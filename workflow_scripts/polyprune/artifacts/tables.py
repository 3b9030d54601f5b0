"""Parquet tables with provenance in the schema's metadata; same rows, same bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from polyprune.artifacts.atomic import atomic_write
from polyprune.errors import UserError
from polyprune.provenance import canonical_json


def save_table(path: Path, table: pa.Table, provenance: Mapping[str, Any], rows_at_once: int | None = None) -> None:
    """Write a table, zstd-compressed, atomically; readable in pieces of `rows_at_once`."""
    table = table.replace_schema_metadata({"polyprune": canonical_json(provenance)})
    with atomic_write(path) as part:
        pq.write_table(table, part, compression="zstd", row_group_size=rows_at_once)


def open_table(path: Path) -> pq.ParquetFile:
    """A finished table, for reading.

    Raises:
        UserError: missing, truncated or of another format.
    """
    try:
        return pq.ParquetFile(path)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist") from error
    except pa.ArrowInvalid as error:
        raise UserError(
            f"{path} cannot be read as parquet ({error}): it is truncated or damaged; delete it and run again"
        ) from error


def read_provenance(path: Path) -> dict[str, Any]:
    """What `save_table` wrote beside the rows."""
    return json.loads((open_table(path).schema_arrow.metadata or {}).get(b"polyprune", b"{}"))


def origin_of(path: Path) -> dict[str, str]:
    """The data set that texts or prompts are from, and its revision where it has one, from their file's provenance."""
    provenance = read_provenance(path)
    return {name: provenance[name] for name in ("dataset", "revision") if name in provenance}
