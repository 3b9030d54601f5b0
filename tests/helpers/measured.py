"""Made-up measurements for tests of pictures: as many languages, layers and matrices as a test asks for."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from polyprune.artifacts.measurements import (
    ACTIVATION_RANGES,
    LAPE,
    LSAR,
    MASK_IOU,
    MEAN_ACTIVATIONS,
    ROUTING,
    Layout,
)
from polyprune.artifacts.scores import COLUMNS, SCHEMA
from polyprune.artifacts.tables import save_table
from polyprune.maths.lape import BOX

MATRICES = ("q", "k", "v", "attn.out", "ffn.gate", "ffn.up", "ffn.down")
PROJECTORS = ("per_model", "dense", "pooled", "cross_fitted", "random")
CELL = {"model": "m", "method": "sparsegpt", "scheme": "0.50"}
DENSE = {"model": "m", "method": "dense", "scheme": "dense", "calibration": "dense", "seed": None}


def _frame(rows: list[dict[str, Any]], layout: Layout) -> pd.DataFrame:
    """As `load_measurements` gives it."""
    table = pa.Table.from_pylist(rows, schema=layout.columns)
    return table.to_pandas(types_mapper={pa.int32(): pd.Int32Dtype(), pa.int64(): pd.Int64Dtype()}.get)


def save(path: Path, frame: pd.DataFrame, layout: Layout) -> None:
    """Write made-up measurements as a file of all their variants."""
    names = ["model", "method", "scheme", "calibration", "seed"]
    table = pa.Table.from_pandas(frame, schema=layout.columns, preserve_index=False)
    variants = table.select(names).group_by(names).aggregate([]).to_pylist()
    save_table(path, layout.schema, table, {"variants": variants, "sources": {"model": "0123456789abcdef"}})


def mask_iou(
    languages: Sequence[str], n_layers: int = 2, matrices: Sequence[str] = MATRICES, scheme: str = "0.50"
) -> pd.DataFrame:
    """All numbers of a comparison differ: a permutation of equal steps from 0.4 on."""
    kinds = [("seeds", name) for name in sorted(languages)]
    kinds += [("pairs", name) for name in sorted(languages)]
    kinds += [
        (kind, "-".join(two)) for kind in ("stable", "pairs") for two in itertools.combinations(sorted(languages), 2)
    ]
    draws = np.random.default_rng(1)
    rows = []
    for comparison, calibration in kinds:
        values = 0.4 + 0.5 * draws.permutation(n_layers * len(matrices)) / (n_layers * len(matrices))
        values = iter(values + 0.0004 * len(rows) / (1 + len(kinds)))
        for layer, matrix in itertools.product(range(n_layers), matrices):
            what = {"layer": layer, "matrix": matrix, "comparison": comparison, "calibration": calibration}
            number = {"value": float(next(values)), "chance": 0.25, "n": 100, "n_seeds": 3, "seed": None}
            rows.append(CELL | {"scheme": scheme} | what | number)
    return _frame(rows, MASK_IOU)


def lsar(
    languages: Sequence[str], n_layers: int, seeds: Sequence[int] = (0, 1), with_parts: bool = True
) -> pd.DataFrame:
    """Shifts of every calibration in every language, also of parts with two ranks of every subspace."""
    draws = np.random.default_rng(2)
    layers = [*(str(layer) for layer in range(1, n_layers + 1)), "L_normed"]
    whole = [("token_shift", None, None), ("prompt_shift", None, None)]
    parts = itertools.product(("agnostic_shift", "specific_shift"), PROJECTORS, (1, 2))
    rows = []
    for layer, (metric, projector, rank) in itertools.product(layers, [*whole, *(parts if with_parts else ())]):
        for seed, calibration, language in itertools.product(seeds, languages, languages):
            what = {"layer": layer, "metric": metric, "projector": projector, "rank": rank, "seed": seed}
            number = {"value": float(draws.uniform(1, 9)), "n": 900}
            rows.append(CELL | what | {"calibration": calibration, "eval_language": language} | number)
    return _frame(rows, LSAR)


def lape(n_layers: int, schemes: Sequence[str] = ("0.20", "0.50"), n_groups: int = 10) -> pd.DataFrame:
    """The dense model, also half against half, and German cells at `schemes`."""
    draws = np.random.default_rng(3)
    cells = [CELL | {"scheme": scheme, "calibration": "de", "seed": 0} for scheme in schemes]
    variants = [(DENSE, "full"), (DENSE, "half"), *((cell, "full") for cell in cells)]
    layers = [*(str(layer) for layer in range(n_layers)), "all"]
    rows = []
    for (variant, series), layer in itertools.product(variants, layers):
        where = {"series": series, "layer": layer, "n": 64}
        rows.append(variant | where | {"statistic": "n_never_active", "value": 1234.0})
        for group in range(n_groups):
            box = np.sort(draws.uniform(1, 2, len(BOX)))
            values = {f"lape_{name}": float(value) for name, value in zip(BOX, box, strict=True)}
            values |= {"p_max": 0.5, "output_mean": float(draws.uniform(0, 1e-3))}
            rows += [variant | where | {"group": group, "statistic": n, "value": v} for n, v in values.items()]
            for name, language in itertools.product(("p", "|output|"), ("de", "en")):
                about = {"group": group, "statistic": name, "eval_language": language}
                rows.append(variant | where | about | {"value": float(draws.uniform(0, 1))})
    return _frame(rows, LAPE)


def mean_activations(n_channels: int, layer: int = 2) -> pd.DataFrame:
    """One matrix of one layer."""
    draws = np.random.default_rng(4)
    rows = []
    for channel in range(n_channels):
        dense, pruned = (float(value) for value in draws.normal(size=2))
        values = {"dense": dense, "pruned": pruned, "dense_magnitude": abs(dense), "pruned_magnitude": abs(pruned)}
        where = {"layer": layer, "matrix": "down_proj", "channel": channel, "n": 1000, "calibration": "en", "seed": 0}
        rows.append(CELL | where | values)
    return _frame(rows, MEAN_ACTIVATIONS)


def routing(
    languages: Sequence[str], n_layers: int = 2, n_experts: int = 4, removed: Sequence[int] = (), seeds: int = 1
) -> pd.DataFrame:
    """The dense model and a cell calibrated on each of `languages`, of which experts `removed` get nothing."""
    draws = np.random.default_rng(5)
    cells = [CELL | {"calibration": name, "seed": seed} for name in languages for seed in range(seeds)]
    rows = []
    for variant, layer, language in itertools.product([DENSE, *cells], range(n_layers), languages):
        gone = np.isin(np.arange(n_experts), removed if variant is not DENSE else ())
        weights = np.where(gone, 0.0, draws.uniform(0.1, 1, n_experts))
        for expert, value in enumerate(weights / weights.sum()):
            where = {"layer": layer, "eval_language": language, "expert": expert, "n": 320}
            rows.append(variant | where | {"value": float(value), "removed": bool(gone[expert])})
    return _frame(rows, ROUTING)


def activation_ranges(languages: Sequence[str], n_layers: int = 2) -> pd.DataFrame:
    """Of the dense model: two inputs a layer, all numbers different."""
    draws, rows = np.random.default_rng(6), list[dict[str, Any]]()
    for layer, matrix in itertools.product(range(n_layers), ("q k v", "ffn.down")):
        where = DENSE | {"layer": layer, "matrix": matrix}
        for language in languages:
            values = {"lowest": -float(draws.uniform(1, 9)), "highest": float(draws.uniform(1, 9))}
            values |= {"median_range": float(draws.uniform(0.1, 1))}
            of_language = where | {"eval_language": language, "n": 1000}
            rows += [of_language | {"metric": metric, "value": value} for metric, value in values.items()]
        for first, second in itertools.combinations(languages, 2):
            pair = {"eval_language": first, "other_language": second, "metric": "salient_overlap", "n": 3}
            rows.append(where | pair | {"value": float(draws.uniform(0, 1))})
    return _frame(rows, ACTIVATION_RANGES)


def perplexities(calibrations: Sequence[str], schemes: Sequence[str]) -> pd.DataFrame:
    """Of the dense model and of cells, two seeds each, in two languages."""
    draws, rows = np.random.default_rng(7), list[dict[str, Any]]()
    cells = itertools.product(calibrations, schemes, (0, 1))
    variants = [CELL | {"calibration": name, "scheme": scheme, "seed": seed} for name, scheme, seed in cells]
    for variant, language in itertools.product([DENSE, *variants], ("de", "en")):
        about = {"corpus": "c", "metric": "perplexity", "eval_language": language, "unit": "1", "n": 9}
        rows.append(variant | about | {"value": float(draws.uniform(2, 9))})
    return _frame(rows, Layout(SCHEMA, [(field.name, field.type) for field in COLUMNS]))
