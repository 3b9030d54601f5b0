"""Scores of one variant, `evaluation/{benchmark}.parquet`, and its answers, `evaluation/items/{benchmark}.parquet`.

Scores, a row a value:

    model, method, scheme, calibration   string    `dense` three times for the uncompressed model
    seed                      int32     null for the uncompressed model
    benchmark                 string    arc, belebele, mmlu, hellaswag, mkqa
    eval_language             string    as in the tables: `en-c` and `en-e` are English ARC's Challenge and Easy
    task                      string    the harness's name of the task or group
    metric                    string    acc, acc_norm; f1, f1_ws, em for mkqa
    value, stderr             double    in 0..1
    unit                      string    "1"
    n                         int64     questions
    headline                  bool      whether it is the value that tables print
    profile                   string    paper, current, cloze: how prompts are put (`evaluation/tasks.py`)
    backend, dtype            string    what computed it
    harness, task_version     string    versions
    data_revision             string    commit of the data set on the hub, or digest of its files
    chat_template             string    digest; null if the model has none

Items, a row a question, in the harness's order of documents:

    task, eval_language       string
    doc_id                    int32
    doc_hash                  string    the harness's, of the document
    passage                   string    digest of the text that several questions are on (belebele); null for others
    gold, prediction          int16     option numbers; null for mkqa
    correct                   bool      mkqa: exact match
    log_likelihoods           list<float>  of every option, nats
    lengths                   list<int16>  characters of every option
    f1, f1_ws                 float     mkqa only
    answer                    string    mkqa only: what the model wrote

Both carry provenance in the schema's metadata. While a job runs, finished languages lie in `{scores}.parts/`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from polyprune.artifacts.tables import open_table, read_provenance, save_table

_VARIANT = ("model", "method", "scheme", "calibration")
SCORES = pa.schema(
    [
        *((name, pa.string()) for name in _VARIANT),
        ("seed", pa.int32()),
        *((name, pa.string()) for name in ("benchmark", "eval_language", "task", "metric")),
        ("value", pa.float64()),
        ("stderr", pa.float64()),
        ("unit", pa.string()),
        ("n", pa.int64()),
        ("headline", pa.bool_()),
        *((name, pa.string()) for name in ("profile", "backend", "dtype", "harness", "task_version")),
        *((name, pa.string()) for name in ("data_revision", "chat_template")),
    ]
)
ITEMS = pa.schema(
    [
        ("task", pa.string()),
        ("eval_language", pa.string()),
        ("doc_id", pa.int32()),
        ("doc_hash", pa.string()),
        ("passage", pa.string()),
        ("gold", pa.int16()),
        ("prediction", pa.int16()),
        ("correct", pa.bool_()),
        ("log_likelihoods", pa.list_(pa.float32())),
        ("lengths", pa.list_(pa.int16())),
        ("f1", pa.float32()),
        ("f1_ws", pa.float32()),
        ("answer", pa.string()),
    ]
)
Rows = Sequence[Mapping[str, Any]]


def _parts(folder: Path, column: str) -> tuple[Path, Path]:
    return folder / f"{column}.items.parquet", folder / f"{column}.scores.parquet"


def save_part(folder: Path, column: str, scores: Rows, items: Rows, key: Mapping[str, Any]) -> None:
    """Keep a finished column; its scores come last and so say that it is whole. `key` identifies the job."""
    items_file, scores_file = _parts(folder, column)
    save_table(items_file, pa.Table.from_pylist(list(items), schema=ITEMS), key)
    save_table(scores_file, pa.Table.from_pylist(list(scores), schema=SCORES), key)


def is_finished(folder: Path, column: str, key: Mapping[str, Any]) -> bool:
    """Whether an earlier, killed run of the same job finished this column."""
    return all(
        file.is_file() and read_provenance(file) == json.loads(json.dumps(key)) for file in _parts(folder, column)
    )


def load_items(path: Path) -> tuple[pa.Table, dict[str, Any]]:
    """Answers, and their provenance: `variant` and `benchmark` say whose they are."""
    return open_table(path).read(), read_provenance(path)


def join_parts(folder: Path, columns: Sequence[str], scores: Path, items: Path, provenance: Mapping[str, Any]) -> None:
    """Write both files from the finished columns, in this order, and remove the parts."""
    tables = [
        pa.concat_tables(open_table(_parts(folder, column)[kind]).read() for column in columns) for kind in (0, 1)
    ]
    save_table(items, tables[0], provenance)
    save_table(scores, tables[1], provenance)
    shutil.rmtree(folder)
