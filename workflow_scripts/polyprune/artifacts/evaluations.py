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
    gold, prediction          int32     option numbers; null for mkqa
    correct                   bool      mkqa: exact match
    log_likelihoods           list<float>  of every option, nats
    lengths                   list<int32>  characters of every option
    f1, f1_ws                 float     mkqa only
    answer                    string    mkqa only: what the model wrote

Schemas `evaluation/2` and `items/2`. Headers: variant, benchmark, languages, profile, digests of model and data, the
cell's header; that of the scores has `questions`, a digest of the documents asked, by language, and in `sources` what
is to be equal in all variants of a model. While a job runs, finished languages lie in `{scores}.parts/`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from polyprune.artifacts.identity import ForeignError, again
from polyprune.artifacts.tables import header_of, open_table, read_header, save_table
from polyprune.errors import UserError
from polyprune.log import logger
from polyprune.provenance import digest

SCORES_SCHEMA, ITEMS_SCHEMA = "evaluation/2", "items/2"
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
        ("gold", pa.int32()),
        ("prediction", pa.int32()),
        ("correct", pa.bool_()),
        ("log_likelihoods", pa.list_(pa.float32())),
        ("lengths", pa.list_(pa.int32())),
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
    save_table(items_file, ITEMS_SCHEMA, pa.Table.from_pylist(list(items), schema=ITEMS), key)
    save_table(scores_file, SCORES_SCHEMA, pa.Table.from_pylist(list(scores), schema=SCORES), key)


def is_finished(folder: Path, column: str, key: Mapping[str, Any]) -> bool:
    """Whether an earlier, killed run of the same job finished this column, and its files are whole."""
    wanted = json.loads(json.dumps(key))
    files = zip(_parts(folder, column), (ITEMS_SCHEMA, SCORES_SCHEMA), strict=True)
    for file, schema in files:
        if not file.is_file():
            return False
        try:
            header = read_header(file, schema)
        except UserError as error:
            logger.warning("%s; this language is done again", error)
            return False
        if {name: value for name, value in header.items() if name not in ("schema", "place")} != wanted:
            return False
    return True


def load_items(path: Path) -> tuple[pa.Table, dict[str, Any]]:
    """Answers, and their header: `variant` and `benchmark` say whose they are."""
    with open_table(path, ITEMS_SCHEMA) as file:
        return file.read(), header_of(file)


def join_parts(folder: Path, columns: Sequence[str], scores: Path, items: Path, about: Mapping[str, Any]) -> None:
    """Write both files from the finished columns, in this order, and remove the parts."""
    answers, values = (
        pa.concat_tables(open_table(_parts(folder, column)[kind], schema).read() for column in columns)
        for kind, schema in enumerate((ITEMS_SCHEMA, SCORES_SCHEMA))
    )
    save_table(items, ITEMS_SCHEMA, answers, about)
    asked = questions(answers)
    sources = {
        **about["sources"],
        **{f"questions of {about['benchmark']} {language}": value for language, value in asked.items()},
        f"chat template for {about['benchmark']}": ", ".join(
            sorted(map(str, set(values["chat_template"].to_pylist())))
        ),
    }
    save_table(scores, SCORES_SCHEMA, values, {**about, "questions": asked, "sources": sources})
    shutil.rmtree(folder)


def questions(items: pa.Table) -> dict[str, str]:
    """A digest of the documents that were asked, in order, by column of the benchmark."""
    asked: dict[str, list[str]] = {}
    for row in items.select(["eval_language", "task", "doc_id", "doc_hash"]).to_pylist():
        asked.setdefault(row["eval_language"], []).extend((row["task"], str(row["doc_id"]), row["doc_hash"]))
    return {language: digest(*parts) for language, parts in asked.items()}


def require_questions(path: Path, items: pa.Table, scores: Path) -> None:
    """Compare the answers of a file with what the file of their scores says was asked.

    Raises:
        UserError: the scores are missing or damaged, or are of other questions.
    """
    if questions(items) != read_header(scores, SCORES_SCHEMA)["questions"]:
        raise ForeignError(f"{path} has answers to other questions than {scores}; {again(path)}")
