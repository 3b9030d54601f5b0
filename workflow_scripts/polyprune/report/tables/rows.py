"""Long tables: a row a value, from the score files of many variants; and their means over seeds.

model, method, scheme, calibration   string        `dense` three times for the uncompressed model
seed                                 int32         null for the uncompressed model
metric                               string
eval_language                        string
value                                double
unit                                 string
score                                string        what is counted of a benchmark: acc, f1, f1_ws; null for others
n                                    int64         tokens or questions that the value is taken over
paper_value                          double        the mean that the paper prints; null where it prints none
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from polyprune.artifacts import evaluations, scores
from polyprune.artifacts.cell_notes import notes_on
from polyprune.artifacts.identity import Header
from polyprune.artifacts.tables import (
    VARIANT,
    header_of,
    open_table,
    read_header,
    require_same_sources,
    require_variants,
)
from polyprune.errors import UserError
from polyprune.grammar.calibrations import is_single_language
from polyprune.grammar.columns import place_in_tables
from polyprune.grammar.paths import DENSE, Cell
from polyprune.report.names import TARGET, calibration_rank, language_of, method_rank
from polyprune.report.numbers import exact_means

GROUP = ["model", "method", "scheme", "calibration", "metric", "eval_language"]
"""Columns that name a value up to its seed."""
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("model", "method", "scheme", "calibration")),
        ("seed", pa.int32()),
        *((name, pa.string()) for name in ("metric", "eval_language")),
        ("value", pa.float64()),
        *((name, pa.string()) for name in ("unit", "score")),
        ("n", pa.int64()),
        ("paper_value", pa.float64()),
    ]
)

Variant = tuple[str, str, str, str, int | None]
"""Model, method, scheme, calibration, seed."""


def load_scores(files: Sequence[Path]) -> pd.DataFrame:
    """Rows of score files (see `artifacts/scores.py`): values of whole models and, of layers, only their mean."""
    return scores_and_headers(files)[0]


def scores_and_headers(files: Sequence[Path]) -> tuple[pd.DataFrame, dict[Path, Header]]:
    """The rows of `load_scores`, and what the files say of themselves."""
    table, headers = _read(files, scores.SCHEMA, scores.COLUMNS, _of_no_single_layer)
    rows: pd.DataFrame = table.to_pandas(types_mapper={pa.int32(): pd.Int32Dtype(), pa.int64(): pd.Int64Dtype()}.get)
    return rows, headers


def load_benchmark_scores(files: Sequence[Path]) -> tuple[pd.DataFrame, list[str]]:
    """The values of evaluation files (see `artifacts/evaluations.py`) that tables print, in per cent; their profiles.

    Column `metric` is the benchmark, `score` what is counted: acc, acc_norm, f1.
    """
    table, _ = _read(files, evaluations.SCORES_SCHEMA, evaluations.SCORES)
    rows: pd.DataFrame = table.to_pandas(types_mapper={pa.int32(): pd.Int32Dtype(), pa.int64(): pd.Int64Dtype()}.get)
    rows = rows[rows["headline"]]
    return rows.assign(score=rows["metric"], metric=rows["benchmark"], value=100 * rows["value"], unit="%"), sorted(
        set(rows["profile"])
    )


def _of_no_single_layer(table: pa.Table) -> pa.Table:
    return table.filter(pa.array((layer in (None, "mean") for layer in table["layer"].to_pylist()), pa.bool_()))


def _read(
    files: Sequence[Path], schema: str, columns: pa.Schema, of_file: Callable[[pa.Table], pa.Table] = lambda rows: rows
) -> tuple[pa.Table, dict[Path, Header]]:
    """The rows of files of one kind, or what `of_file` takes of each, and the files' headers.

    Raises:
        UserError: a file is missing, damaged or of another kind, or it has rows of a variant that its header does not
            name, or files of one model were made from different weights, texts, questions or templates.
    """
    tables, headers = [], {}
    for path in files:
        with open_table(path, schema) as file:
            table, header = file.read(use_threads=False), header_of(file)
        require_variants(path, table, header)
        tables.append(of_file(table).cast(columns))
        headers[path] = header
    require_same_sources(headers)
    return pa.concat_tables(tables), headers


def read_headers(files: Sequence[Path], schema: str) -> dict[Path, Header]:
    """Those of score files of one kind."""
    return {path: read_header(path, schema) for path in files}


def notes(headers: Iterable[Header]) -> list[str]:
    """What is to be said of the cells of score files beside their numbers, a line a cell."""
    found: dict[str, None] = {}
    for header in headers:
        variant = "/".join(str(header["variant"][name]) for name in VARIANT)
        found |= {f"{variant}: {note}": None for note in notes_on(header["cell"] or {})}
    return list(found)


def require_same_questions(rows: pd.DataFrame, metrics: Sequence[str]) -> None:
    """Refuse benchmark rows of which a value is missing or there twice, or that were not asked the same questions.

    A model's rows must be means over equally many questions, put by one chat template.

    Raises:
        UserError: names the first such value and says how many there are.
    """
    found = Counter(_key(row) for row in rows.to_dict("records"))
    variants = {key[0] for key in found}
    variants |= {(model, DENSE, DENSE, DENSE, None) for model, *_ in variants}
    columns = {(variant[0], metric, language) for variant, metric, language in found}
    wanted = {
        (variant, metric, language)
        for variant in variants
        for model, metric, language in columns
        if model == variant[0]
    }
    if lacking := sorted(set(metrics) - {metric for _, metric, _ in columns}):
        raise UserError(f"no scores of {', '.join(lacking)}: list the score files of every benchmark")
    _refuse(wanted - set(found), "is missing; other variants of the model have this column")
    _refuse({key for key, count in found.items() if count > 1}, "is there twice; list every score file once")
    most = rows.groupby(["model", "metric", "eval_language"])["n"].transform("max")
    fewer = {_key(row) for row in rows[rows["n"] != most].to_dict("records")}
    _refuse(fewer, "is over fewer questions than elsewhere; delete the variant's evaluation and make it again")
    usual = rows.assign(template=rows["chat_template"].fillna("none")).groupby("model")["template"]
    others = rows["chat_template"].fillna("none") != usual.transform(lambda of_model: of_model.mode()[0])
    put_otherwise = {_key(row) for row in rows[others].to_dict("records")}
    _refuse(put_otherwise, "was asked with another chat template; delete the variant's evaluation and make it again")


def load_paper(files: Sequence[Path]) -> pd.DataFrame:
    """The paper's printed means (see `data/README.md`): `GROUP` and `paper_value`."""
    frames = [pd.read_csv(file, dtype=dict.fromkeys(GROUP, "str"), keep_default_na=False) for file in files]
    printed = pd.concat(frames) if frames else pd.DataFrame(columns=[*GROUP, "mean"])
    return printed[[*GROUP, "mean"]].rename(columns={"mean": "paper_value"}).astype({"paper_value": "float64"})


def add_paper_values(rows: pd.DataFrame, paper: pd.DataFrame) -> pd.DataFrame:
    """The rows with a column `paper_value`, NaN where the paper prints none."""
    return rows.merge(paper, how="left", on=GROUP, validate="many_to_one")


def require_complete(rows: pd.DataFrame, dense_metrics: Sequence[str], cell_metrics: Sequence[str]) -> None:
    """Refuse rows of which a value is missing, not a number, or there twice.

    A model's cells and its dense variant must have all of their metrics in every language in which any of them has one.

    Raises:
        UserError: names the first such value and says how many there are.
    """
    found = Counter(_key(row) for row in rows.to_dict("records"))
    variants = {key[0] for key in found}
    variants |= {(model, DENSE, DENSE, DENSE, None) for model, *_ in variants}
    languages = {(variant[0], language) for variant, _, language in found}
    wanted = {
        (variant, metric, language)
        for variant in variants
        for metric in (dense_metrics if variant[1] == DENSE else cell_metrics)
        for model, language in languages
        if model == variant[0]
    }
    undefined = {_key(row) for row in rows[rows["value"].isna()].to_dict("records")}
    _refuse(wanted - set(found), "is missing; other variants of the model have this language")
    _refuse({key for key, count in found.items() if count > 1}, "is there twice; list every score file once")
    _refuse(undefined, "is not a number; delete the variant's results and make them again")


Key = tuple[Variant, str, str]
"""Variant, metric, language."""


def _key(row: Mapping[Any, Any]) -> Key:
    seed = None if pd.isna(row["seed"]) else int(row["seed"])
    return (row["model"], row["method"], row["scheme"], row["calibration"], seed), row["metric"], row["eval_language"]


def _refuse(keys: set[Key], complaint: str) -> None:
    if keys:
        (model, *compression, seed), metric, language = min(keys, key=str)
        variant = DENSE if seed is None else Cell(model, *compression, seed=seed).variant
        more = f" (and {len(keys) - 1} more like this)" if len(keys) > 1 else ""
        raise UserError(f"{model}/{variant}: {metric} of {language} {complaint}{more}")


def in_order(rows: pd.DataFrame, models: Sequence[str], metrics: Sequence[str]) -> pd.DataFrame:
    """Rows sorted as tables show them: the dense model, single languages, mixes, others; `models` in their order."""
    in_tables = sorted(set(rows["calibration"]), key=lambda name: (calibration_rank(name), name))
    keys = pd.DataFrame(
        {
            "model": rows["model"].map(list(models).index),
            "rank": rows["method"].map(method_rank),
            "method": rows["method"],
            "scheme": rows["scheme"],
            "calibration": rows["calibration"].map(in_tables.index),
            "seed": rows["seed"],
            "metric": rows["metric"].map(list(metrics).index),
            "eval_language": rows["eval_language"].map(place_in_tables),
        }
    )
    return rows.loc[keys.sort_values(list(keys.columns)).index].reset_index(drop=True)


def long_table(rows: pd.DataFrame) -> pa.Table:
    """The columns of `SCHEMA`; `score` may be left out."""
    rows = rows if "score" in rows else rows.assign(score=None)
    return pa.Table.from_pandas(rows[SCHEMA.names], schema=SCHEMA, preserve_index=False)


def aggregate(rows: pd.DataFrame) -> pd.DataFrame:
    """Over seeds, per `GROUP` in the order of the rows: `mean`, `std`, `n_seeds`, `n`, `paper_value`, `score`.

    Means are equal where their counts are (`exact_mean`). `std` is the sample's (n − 1 in the denominator), NaN for one
    value. A dense model counts as one seed. `score` is empty where rows have none.
    """
    shown = rows if "score" in rows else rows.assign(score="")
    groups = shown.groupby(GROUP, sort=False, as_index=False)
    found = groups.agg(
        std=("value", "std"),
        n_seeds=("value", "size"),
        paper_value=("paper_value", "first"),
        score=("score", "first"),
        n=("n", "first"),
    )
    return found.merge(exact_means(rows, GROUP).reset_index(), on=GROUP, validate="one_to_one")


def shown_and_kept(rows: pd.DataFrame, references: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What a table draws and what it writes: all rows twice. With `references` it is one of mixes, drawn beside English
    and, as `TARGET`, each column's own language, which another table writes. The dense model is in both.
    """
    if not references:
        return rows, rows
    single = rows["calibration"].map(is_single_language)
    own = rows[single & (rows["calibration"] == rows["eval_language"].map(language_of))]
    shown = rows[~single | (rows["calibration"] == "en")]
    return pd.concat([shown, own.assign(calibration=TARGET)], ignore_index=True), rows[~single]
