"""Parquet tables with provenance in the schema's metadata; same rows, same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from polyprune.artifacts.atomic import atomic_write
from polyprune.provenance import canonical_json


def save_table(path: Path, table: pa.Table, provenance: Mapping[str, Any]) -> None:
    """Write a table, zstd-compressed, atomically."""
    table = table.replace_schema_metadata({"polyprune": canonical_json(provenance)})
    with atomic_write(path) as part:
        pq.write_table(table, part, compression="zstd")
