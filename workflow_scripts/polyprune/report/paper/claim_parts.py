"""What the paper's claims are recomputed from: blocks of its printed tables, and verdicts over several."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import pandas as pd

from polyprune.grammar.paths import DENSE
from polyprune.report.names import PAPER_METHODS, PAPER_MODELS
from polyprune.report.paper.claims import Found, Verdict
from polyprune.report.printed import (
    COLUMN,
    NotInTablesError,
    Tables,
    as_matrix,
    count_best,
    of_block,
)

LLAMA, AYA = "llama-3-8b", "aya-23-8b"
LARGE = ("llama-3-70b", "aya-23-35b")
SMALL = (LLAMA, AYA)
METHODS = ("wanda", "sparsegpt")
BLOCKS = tuple(product(SMALL, METHODS))
SEVEN, FIVE = "ar-de-en-es-ru-sw-zh", "ar-de-en-es-ru"


def table(tables: Tables, number: int) -> pd.DataFrame:
    if number not in tables:
        raise NotInTablesError(f"table {number} is not there")
    return tables[number]


def block(
    tables: Tables, number: int, model: str, method: str, metrics: Sequence[str] | None = None, mixes: bool = False
) -> Any:
    """`as_matrix`, a frame; Any, for its columns are tuples, which pandas' types do not know."""
    return as_matrix(of_block(table(tables, number), model, method), metrics, mixes)


def dense(tables: Tables, number: int, model: str) -> Any:
    """Scores of the uncompressed model by (metric, eval_language)."""
    rows = of_block(table(tables, number), model, DENSE)
    return rows.set_index(COLUMN)["mean"].sort_index()


def name(model: str, method: str) -> str:
    return f"{PAPER_MODELS[model]} {PAPER_METHODS[method]}"


def of_blocks(shares: Sequence[float], at_least: float = 0.5) -> Verdict:
    """holds if all blocks are above, half if some, no if none."""
    above = [share > at_least for share in shares]
    return "holds" if all(above) else "half" if any(above) else "no"


def counted(tables: Tables, number: int, metrics: Sequence[str] | None, blocks: Sequence[tuple[str, str]]) -> Found:
    """In how many columns the target is best, ties included; mostly."""
    texts, shares = [], []
    for model, method in blocks:
        matrix = block(tables, number, model, method, metrics)
        alone, tied = count_best(matrix)
        texts.append(f"{name(model, method)} {tied}/{matrix.shape[1]} ({alone} alone)")
        shares.append(tied / matrix.shape[1])
    return Found("; ".join(texts), of_blocks(shares))
