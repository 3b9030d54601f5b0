"""Parquet tables with a header: a JSON object `polyprune` in the schema's metadata; same rows, same bytes.

The seal (`artifacts/seals.py`) stands in the footer's metadata, not in Arrow's schema.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from polyprune.artifacts.atomic import atomic_write
from polyprune.artifacts.identity import DamagedError, ForeignError, Header, again, introduced, require
from polyprune.artifacts.seals import BLANK, require_seal, seal
from polyprune.provenance import canonical_json

METADATA_KEY = b"polyprune"


def save_table(
    path: Path, schema: str, table: pa.Table, about: Mapping[str, Any], rows_at_once: int | None = None
) -> None:
    """Write a table, zstd-compressed, atomically; readable in pieces of `rows_at_once`."""
    header = canonical_json(introduced(path, schema, about))
    table = table.replace_schema_metadata({METADATA_KEY: header})
    with atomic_write(path) as part:
        with pq.ParquetWriter(part, table.schema, compression="zstd") as writer:
            writer.write_table(table, row_group_size=rows_at_once)
            writer.add_key_value_metadata({"polyprune_seal": BLANK})
        seal(part)


def open_table(path: Path, schema: str, expected: Header | None = None) -> pq.ParquetFile:
    """A finished table, for reading; its content has been compared with its seal.

    Raises:
        UserError: missing, damaged, or not what was asked for (`artifacts/identity.py`).
    """
    file = open_sealed_table(path)
    require(path, header_of(file), schema, expected)
    return file


def open_sealed_table(path: Path) -> pq.ParquetFile:
    """A finished table of any kind. Raises `UserError` if it is missing or damaged."""
    require_seal(path)
    try:
        return pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise DamagedError(f"{path} cannot be read as parquet ({error}); {again(path)}") from error


def header_of(file: pq.ParquetFile) -> dict[str, Any]:
    """What `save_table` wrote beside the rows."""
    return json.loads((file.schema_arrow.metadata or {}).get(METADATA_KEY, b"{}"))


def read_header(path: Path, schema: str, expected: Header | None = None) -> dict[str, Any]:
    """The header of a table; raises `UserError` like `open_table`."""
    with open_table(path, schema, expected) as file:
        return header_of(file)


def origin_of(path: Path, schema: str) -> dict[str, str]:
    """The data set that texts or prompts are from, and its revision where it has one, from their file's header."""
    header = read_header(path, schema)
    return {name: header[name] for name in ("dataset", "revision") if name in header}


VARIANT = ("model", "method", "scheme", "calibration", "seed")
"""Columns that name a variant, where a table has them."""


def require_variants(path: Path, table: pa.Table, header: Header) -> None:
    """Refuse a table with rows of a variant that its header does not name.

    The header has `variant`, or `variants` that were compared, whose calibrations and seeds rows may join.

    Raises:
        ForeignError: names the first such row's variant.
    """
    joined = "variants" in header
    names = VARIANT[:3] if joined else VARIANT
    named = header["variants"] if joined else [header["variant"]]
    allowed = {tuple(variant[name] for name in names) for variant in named}
    several = any(len(table[name].unique()) > 1 for name in names)
    distinct = table.select(names).group_by(list(names)).aggregate([]) if several else table.select(names)[:1]
    for row in distinct.to_pylist():
        if (found := tuple(row[name] for name in names)) not in allowed:
            words = "/".join(map(str, found))
            raise ForeignError(f"{path} has rows of {words}, which its header does not name; {again(path)}")


def require_same_sources(headers: Mapping[Path, Header]) -> None:
    """Refuse tables of one model that were made from different weights or texts.

    Headers have `sources`: what the numbers were made from, by name, as `model` and `text de`.

    Raises:
        ForeignError: names two files that differ, and in what.
    """
    first: dict[tuple[str, str], tuple[Path, str]] = {}
    for path, header in headers.items():
        model = (header["variants"][0] if "variants" in header else header["variant"])["model"]
        for name, value in header["sources"].items():
            other, wanted = first.setdefault((model, name), (path, value))
            if value != wanted:
                raise ForeignError(
                    f"{path} and {other} were made from different things ({name}: {value} and {wanted}) and do not "
                    f"belong into one table; of the older, {again(path)}"
                )
