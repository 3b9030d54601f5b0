"""Rows that tables and figures of routing show, from measurements of the dense models and of cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from polyprune.grammar.paths import DENSE
from polyprune.maths.routing import lost, overlap

_VARIANT = ["model", "method", "scheme", "calibration", "seed"]
OVERLAP, KEPT, LOST = "overlap", "kept", "lost"
"""Of two languages in one model; of a language before and after compression; what went to experts that are removed."""


def compared(measured: pd.DataFrame) -> pd.DataFrame:
    """By layer: `metric`, `eval_language`, `other_language` (of `OVERLAP`), `value`, `n` choices of the language.

    `measured` are rows of `artifacts/measurements.py`, of the dense model of each cell too.
    """
    variants = [rows for _, rows in measured.groupby(_VARIANT, sort=False, dropna=False)]
    names: list[dict[str, Any]] = [dict(rows[_VARIANT].iloc[0]) for rows in variants]
    dense = {
        name["model"]: _by_layer(rows) for name, rows in zip(names, variants, strict=True) if name["method"] == DENSE
    }
    found: list[Mapping[str, Any]] = []
    for name, rows in zip(names, variants, strict=True):
        for layer, of_layer in _by_layer(rows).items():
            before = None if name["method"] == DENSE else dense[name["model"]][layer]
            found += [name | {"layer": layer} | row for row in _of_layer(of_layer, before)]
    columns = [*_VARIANT, "layer", "metric", "eval_language", "other_language", "value", "n"]
    return pd.DataFrame(found, columns=columns).astype({"seed": "Int32"})


def _by_layer(rows: pd.DataFrame) -> dict[int, pd.DataFrame]:
    return {int(str(layer)): of_layer for layer, of_layer in rows.groupby("layer")}


def grid_of(rows: pd.DataFrame, column: str = "value") -> pd.DataFrame:
    """Rows of one variant and layer as [language, expert]."""
    return rows.pivot(index="eval_language", columns="expert", values=column)


def _of_layer(rows: pd.DataFrame, before: pd.DataFrame | None) -> Iterator[dict[str, Any]]:
    """Rows of one layer of a variant; `before` are the dense model's, for a cell."""
    grid, n = grid_of(rows), rows.groupby("eval_language")["n"].first()
    languages, shares = list(grid.index), grid.to_numpy(dtype=float)
    one, other = np.triu_indices(len(languages), 1)
    for i, j, value in zip(one, other, overlap(shares[one], shares[other]), strict=True):
        pair = {"eval_language": languages[i], "other_language": languages[j]}
        yield pair | {"metric": OVERLAP, "value": float(value), "n": int(n.iloc[i])}
    if before is None:
        return
    dense, removed = grid_of(before).to_numpy(dtype=float), grid_of(rows, "removed").to_numpy(dtype=bool)
    found = {KEPT: overlap(dense, shares)} | ({LOST: lost(dense, removed)} if removed.any() else {})
    for metric, values in found.items():
        for language, value, choices in zip(languages, values, n, strict=True):
            alone = {"eval_language": language, "other_language": None}
            yield alone | {"metric": metric, "value": float(value), "n": int(choices)}


def with_others(rows: pd.DataFrame) -> pd.DataFrame:
    """Overlaps of pairs as of each language with the others: a row for both members of a pair."""
    pairs = rows[rows["metric"] == OVERLAP]
    turned = pairs.rename(columns={"eval_language": "other_language", "other_language": "eval_language"})
    return pd.concat([pairs, turned[pairs.columns]], ignore_index=True)
