"""Parquet tables with provenance in the schema's metadata; same rows, same bytes."""

from __future__ import annotations

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
