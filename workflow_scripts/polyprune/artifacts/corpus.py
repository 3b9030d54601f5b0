"""A corpus in one language: `{language}.parquet`, one document a row, schema `corpus/2`.

    split   string   "train", "calibration" or "evaluation"; rows are ordered by split, then as drawn
    text    string   the document

Documents of a split stay in the order of their source. No text of calibration or training is also in evaluation.
Header: language, settings, data set and revision, documents of each split.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from polyprune.artifacts.identity import Header
from polyprune.artifacts.tables import open_table, save_table

SCHEMA = "corpus/2"
_ROWS_AT_ONCE = 8192
SPLITS = ("train", "calibration", "evaluation")
_COLUMNS = pa.schema([("split", pa.string()), ("text", pa.large_string())])


def save_corpus(path: Path, documents: Mapping[str, Iterable[str]], about: Mapping[str, Any]) -> None:
    """Write the documents of each split, in the order of `SPLITS`."""
    columns: dict[str, list[str]] = {"split": [], "text": []}
    for split in SPLITS:
        texts = list(documents.get(split, ()))
        columns["split"] += [split] * len(texts)
        columns["text"] += texts
    save_table(path, SCHEMA, pa.table(columns, schema=_COLUMNS), about, rows_at_once=_ROWS_AT_ONCE)


def load_documents(path: Path, split: str, expected: Header | None = None) -> list[str]:
    """The documents of one split, in order; in pieces, so that little more than these is ever in memory."""
    with open_table(path, SCHEMA, expected) as file:
        pieces = (piece.filter(pc.field("split") == split) for piece in file.iter_batches(_ROWS_AT_ONCE))
        return [text for piece in pieces for text in piece["text"].to_pylist()]
