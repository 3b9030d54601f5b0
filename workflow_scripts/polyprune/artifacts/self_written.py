"""Text that a model wrote to be calibrated on: `self_written/{calibration}/seed{seed}/text.parquet`, `self_written/1`.

    term       string   of the calibration: `de`, `de@tico19`
    document   int32    which of the calibration documents of the term's corpus it began with, from 0
    prefix     string   its beginning, as given to the model
    text       string   the prefix and what the model wrote after it
    tokens     int32    written by the model
    surprise   double   mean of what these cost the model, nats (WRITE-2)
    kept       bool     not among those left out as least likely

Rows of a term in the order in which they were written. Header: model and tokenizer digest, seed, settings, the texts'
corpora, code digest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from polyprune.artifacts.identity import Header
from polyprune.artifacts.tables import open_table, save_table

SCHEMA = "self_written/1"
_COLUMNS = pa.schema(
    [
        ("term", pa.string()),
        ("document", pa.int32()),
        *((name, pa.large_string()) for name in ("prefix", "text")),
        ("tokens", pa.int32()),
        ("surprise", pa.float64()),
        ("kept", pa.bool_()),
    ]
)


def save_written(path: Path, rows: Sequence[Mapping[str, Any]], about: Mapping[str, Any]) -> None:
    save_table(path, SCHEMA, pa.Table.from_pylist(list(rows), schema=_COLUMNS), about)


def load_written(path: Path, expected: Header) -> dict[str, list[str]]:
    """The texts that were kept, by term, in their order."""
    found: dict[str, list[str]] = {}
    with open_table(path, SCHEMA, expected) as file:
        for row in file.read(["term", "text", "kept"]).to_pylist():
            found.setdefault(row["term"], []).extend([row["text"]] if row["kept"] else [])
    return found
