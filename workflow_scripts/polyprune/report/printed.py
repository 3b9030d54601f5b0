"""Means as tables print them: the paper's own (`data/paper`), or those of a study's long rows.

Both have the columns `GROUP` (model, method, scheme, calibration, metric, eval_language), `mean` and `std`; std is
NaN where none is known. No torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from polyprune.artifacts.identity import require
from polyprune.artifacts.measurements import FRAME, TABLE
from polyprune.artifacts.tables import header_of, open_sealed_table
from polyprune.errors import UserError
from polyprune.grammar.calibrations import is_single_language
from polyprune.grammar.paths import DENSE
from polyprune.report.names import language_of
from polyprune.report.numbers import exact_means

GROUP = ["model", "method", "scheme", "calibration", "metric", "eval_language"]
BLOCK = ["model", "method", "scheme"]
COLUMN = ["metric", "eval_language"]
SMALLER_IS_BETTER = ("perplexity", "pruning_error")


class NotInTablesError(UserError):
    """Something that is asked of tables is not in them."""


Tables = Mapping[int, pd.DataFrame]
"""Means by the number of the paper's table."""


def load_printed(file: Path) -> pd.DataFrame:
    """One of the paper's tables (see `data/README.md`); pairs of languages in alphabetical order, as ours."""
    rows = pd.read_csv(file, dtype=dict.fromkeys(GROUP, "str"), keep_default_na=False)
    rows["calibration"] = rows["calibration"].map(lambda name: "-".join(sorted(str(name).split("-"))))
    return rows.assign(**{name: pd.to_numeric(rows[name]) for name in ("mean", "std")})


def table_number(file: Path) -> int:
    """`table12.csv` and `table12.parquet` are 12."""
    return int(file.stem.removeprefix("table"))


def load_all_printed(folder: Path) -> dict[int, pd.DataFrame]:
    """The paper's tables of a folder, by number."""
    files = {table_number(file): file for file in folder.glob("table*.csv")}
    return {number: load_printed(files[number]) for number in sorted(files)}


def load_study_rows(files: Iterable[Path]) -> dict[int, pd.DataFrame]:
    """A study's long tables, by number: of scores (`report/tables/rows.py`) or overlap of masks, without a score."""
    rows = {}
    for file in files:
        with open_sealed_table(file) as table:
            if header_of(table).get("schema") != FRAME:
                require(file, header_of(table), TABLE)
            found = table.read().to_pandas()
            score = found.get("score")
            rows[table_number(file)] = found.assign(eval_language=found["eval_language"].fillna(""), score=score)
    return rows


def load_study(files: Iterable[Path]) -> dict[int, pd.DataFrame]:
    """Means (`exact_means`) and std over seeds of a study's long tables, by number."""
    return {number: means_of(rows) for number, rows in load_study_rows(files).items()}


def means_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Of long rows: `GROUP`, `mean`, `std`, `n_seeds`."""
    found = rows.groupby(GROUP, sort=False, as_index=False).agg(std=("value", "std"), n_seeds=("value", "size"))
    return found.merge(exact_means(rows, GROUP).reset_index(), on=GROUP, validate="one_to_one")


def as_matrix(rows: pd.DataFrame, metrics: Iterable[str] | None = None, mixes: bool = False) -> pd.DataFrame:
    """Calibrations down, columns (metric, eval_language) across, larger is better: perplexity and error are negated.

    `rows` are of one block; of single-language calibrations, unless `mixes` are wanted too.

    Raises:
        NotInTablesError: no such rows, or a value is missing.
    """
    wanted = rows[rows["calibration"] != DENSE]
    if not mixes:
        wanted = wanted[wanted["calibration"].map(is_single_language)]
    if metrics is not None:
        wanted = wanted[wanted["metric"].isin(list(metrics))]
    found = wanted.pivot(index="calibration", columns=COLUMN, values="mean")
    if found.empty or found.isna().to_numpy().any():
        what = "has a value missing" if len(found) else "is not there"
        raise NotInTablesError(f"a block of {', '.join(metrics or ['all metrics'])} {what}")
    signs = [-1.0 if metric in SMALLER_IS_BETTER else 1.0 for metric in found.columns.get_level_values("metric")]
    return found * signs


def of_block(rows: pd.DataFrame, model: str, method: str, scheme: str | None = None) -> pd.DataFrame:
    """Rows of one model and method; of one scheme if given."""
    found = rows[(rows["model"] == model) & (rows["method"] == method)]
    found = found if scheme is None else found[found["scheme"] == scheme]
    if found.empty:
        raise NotInTablesError(f"no rows of {model}, {method}")
    return found


def targets(matrix: pd.DataFrame) -> list[int]:
    """Row of each column's own language.

    Raises:
        NotInTablesError: a language is evaluated in which nothing is calibrated.
    """
    rows = list(matrix.index)
    languages = [language_of(language) for _, language in matrix.columns]
    if lacking := sorted(set(languages) - set(rows)):
        raise NotInTablesError(f"nothing is calibrated in {', '.join(lacking)}")
    return [rows.index(language) for language in languages]


def target_ranks(matrix: pd.DataFrame) -> np.ndarray:
    """Rank of each column's own language among the rows: 1 is best, ties share the mean of their ranks."""
    ranks = matrix.rank(ascending=False, method="average").to_numpy()
    return ranks[targets(matrix), np.arange(matrix.shape[1])]


def count_best(matrix: pd.DataFrame) -> tuple[int, int]:
    """In how many columns the column's own language is best alone, and best alone or tied."""
    values = matrix.to_numpy()
    own = values[targets(matrix), np.arange(values.shape[1])]
    at_top = own == values.max(axis=0)
    return int((at_top & ((values == own).sum(axis=0) == 1)).sum()), int(at_top.sum())


def over_english(matrix: pd.DataFrame) -> np.ndarray:
    """Of each column that is not English: its own language less English."""
    values, english = matrix.to_numpy(), list(matrix.index).index("en")
    return np.array([values[row, j] - values[english, j] for j, row in enumerate(targets(matrix)) if row != english])
