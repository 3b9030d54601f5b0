"""What is known of a block item by item: answers to questions, and losses and drift of sequences.

A block is a model, method and scheme; a column of it a metric and evaluation language, with the same items under every
calibration and draw. Values are such that larger is better: shares of right answers (f1 for mkqa), and pseudo-values
(JACK-1) of −ln perplexity, of SNR in dB, and of −ln pruning error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from polyprune.artifacts.evaluations import load_items
from polyprune.artifacts.hidden_states import load_sums
from polyprune.artifacts.identity import Header, sources_of
from polyprune.artifacts.tables import require_same_sources
from polyprune.errors import UserError
from polyprune.maths.drift import pruning_error, snr_db
from polyprune.maths.jackknife import log_perplexity, pseudo_values

ACCURACY = "acc"
SHARES = (ACCURACY, "f1", "f1_ws")
"""Kinds of columns of benchmarks, as tables name them: values in [0, 1]."""
Block = tuple[str, str, str]
"""Model, method, scheme."""
Key = tuple[str, str]
"""Metric (a benchmark, perplexity, snr, pruning_error) and evaluation language."""


@dataclass(frozen=True)
class Column:
    """Values by calibration, (n_items, n_draws), the draws' seeds, and the groups of the items.

    `kind` is one of `SHARES` for a benchmark, else the metric. `chance` is the share of right answers by guessing,
    where options were to be chosen from.
    """

    kind: str
    values: Mapping[str, np.ndarray]
    seeds: Mapping[str, tuple[int, ...]]
    groups: np.ndarray
    chance: float | None = None

    @property
    def n_groups(self) -> int:
        return int(self.groups.max()) + 1

    def only(self, seeds: Mapping[str, tuple[int, ...]]) -> Column:
        """With these calibrations and draws."""
        values = {
            name: self.values[name][:, [self.seeds[name].index(seed) for seed in wanted]]
            for name, wanted in seeds.items()
        }
        return replace(self, values=values, seeds=seeds)


def common_draws(columns: Sequence[Column]) -> dict[str, tuple[int, ...]]:
    """Calibrations, and of each the draws, that all columns have."""
    names = [name for name in columns[0].seeds if all(name in column.seeds for column in columns)]
    common = {name: set.intersection(*(set(column.seeds[name]) for column in columns)) for name in names}
    return {name: tuple(sorted(seeds)) for name, seeds in common.items() if seeds}


@dataclass(frozen=True)
class _Cell:
    """One cell's values of a column: items by what identifies them, their group."""

    block: Block
    key: Key
    calibration: str
    seed: int
    kind: str
    items: tuple[np.ndarray, np.ndarray, np.ndarray]
    """Identity, group, value."""
    sources: Mapping[str, str]
    """What it was made from (see `require_same_sources`)."""
    chance: float | None = None


def load_columns(
    items: Iterable[Path], dumps: Iterable[Path], beside: Mapping[Path, Header] | None = None
) -> dict[Block, dict[Key, Column]]:
    """Columns of all blocks, from cells' answers (`evaluation/items/*`) and dumps (`hidden_states/{corpus}/*`).

    `beside` are headers of scores that are shown with them.

    Raises:
        UserError: cells of a column have other items, or files of one model, also those beside, were made from
            different weights or texts.
    """
    cells: dict[Block, dict[Key, list[_Cell]]] = {}
    headers: dict[Path, Header] = dict(beside or {})
    for found in (_answers, items), (_sequences, dumps):
        read, files = found
        for file in files:
            for cell in read(file):
                headers[file] = {"variant": {"model": cell.block[0]}, "sources": cell.sources}
                cells.setdefault(cell.block, {}).setdefault(cell.key, []).append(cell)
    require_same_sources(headers)
    return {
        block: {key: _column(block, key, of_column) for key, of_column in columns.items()}
        for block, columns in cells.items()
    }


def _column(block: Block, key: Key, cells: list[_Cell]) -> Column:
    first, groups, _ = cells[0].items
    for cell in cells:
        if not np.array_equal(cell.items[0], first):
            raise UserError(
                f"{'/'.join(block)}: {' '.join(key)} of {cell.calibration}/seed{cell.seed} is over other items than of "
                f"{cells[0].calibration}/seed{cells[0].seed}; delete its results and make them again"
            )
    by_calibration: dict[str, list[_Cell]] = {}
    for cell in sorted(cells, key=lambda cell: (cell.calibration, cell.seed)):
        by_calibration.setdefault(cell.calibration, []).append(cell)
    values = {name: np.stack([cell.items[2] for cell in draws], axis=1) for name, draws in by_calibration.items()}
    seeds = {name: tuple(cell.seed for cell in draws) for name, draws in by_calibration.items()}
    return Column(cells[0].kind, values, seeds, np.unique(groups, return_inverse=True)[1], cells[0].chance)


def _answers(file: Path) -> Iterator[_Cell]:
    table, header = load_items(file)
    variant, benchmark = header["variant"], header["benchmark"]
    answers = table.to_pandas()
    graded = answers["f1"].notna().any()
    kind = (
        ACCURACY if not graded else "f1_ws" if answers["f1_ws"].notna().any() and header["profile"] == "paper" else "f1"
    )
    value = answers["correct" if kind == ACCURACY else kind]
    alone = answers["task"] + "/" + answers["doc_id"].astype("str")
    options = answers.pop("log_likelihoods").str.len()  # none where nothing is to be chosen
    answers = answers.assign(
        guessed=1 / options.astype("float64"), value=value.astype("float64"), item=alone + "/" + answers["doc_hash"]
    )
    answers["group"] = answers["passage"].fillna(alone) if "passage" in answers else alone
    block = variant["model"], variant["method"], variant["scheme"]
    for language, of_language in answers.groupby("eval_language", sort=False):
        found = tuple(of_language[name].to_numpy() for name in ("item", "group", "value"))
        key = benchmark, str(language)
        chance = of_language["guessed"].mean()
        known = (header.get("asked") or {}).get("chance") if pd.isna(chance) else float(chance)
        yield _Cell(
            block, key, variant["calibration"], variant["seed"], kind, cast(Any, found), header["sources"], known
        )


_SUMS = ("n", "target", "nll_pruned", "norm", "sq", "diff")


def _sequences(file: Path) -> Iterator[_Cell]:
    """Perplexity, SNR and pruning error of one dump, a value a sequence; of one sequence alone none.

    No SNR where a layer's states are the dense model's, as after a first layer taken from it (`0.50-ends-from-dense`):
    it is infinite in every sequence, and nothing is to be compared. No pruning error where all layers' are. So too
    where that is so without one of the sequences, which pseudo-values leave out.

    The dump lies in the cell's folder, `{model}/{method}/{scheme}/{calibration}/seed{seed}/hidden_states/{corpus}/`.
    """
    model, method, scheme, calibration, seed = file.parts[-8:-3]
    dump = load_sums(file, names=_SUMS)
    sums, about = dump.arrays, dump.header
    said = tuple(str(about[name]) for name in ("method", "scheme", "calibration", "seed"))
    if said != (method, scheme, calibration, seed.removeprefix("seed")):
        raise UserError(f"{file} says that it is of {'/'.join(said)}: it has been moved; put it back or make it again")
    targets = sums["target"] == 1
    nll = np.where(targets, sums["nll_pruned"], 0).sum(axis=1, dtype=np.float64)
    if len(nll) < 2:
        return  # nothing can be said of other text
    tokens = targets.sum(axis=1, dtype=np.float64)
    drift = {name: sums[name] for name in ("n", "norm", "sq", "diff")} | {"n": sums["n"][:, None]}
    counted = [*range(1, sums["sq"].shape[1] - 2), sums["sq"].shape[1] - 1]

    def snr(totals: Mapping[str, np.ndarray]) -> np.ndarray:
        return snr_db(totals["sq"], totals["diff"])[..., counted].mean(axis=-1)

    def error(totals: Mapping[str, np.ndarray]) -> np.ndarray:
        found = pruning_error(totals["n"], totals["norm"], totals["diff"], dump.d_model)
        return -np.log(found[..., counted].mean(axis=-1))

    changed = sums["diff"][:, counted] > 0
    found = {"perplexity": -pseudo_values({"nll": nll, "tokens": tokens}, log_perplexity)}
    if (changed.sum(axis=0) > 1).all():
        found["snr"] = pseudo_values(drift, snr)
    if changed.any(axis=1).sum() > 1:
        found["pruning_error"] = pseudo_values(drift, error)
    sources = sources_of({file: about})
    identity = np.array([f"{about['data_digest']}/{index}" for index in range(len(nll))])
    for metric, values in found.items():
        key, items = (metric, str(about["language"])), (identity, identity, values)
        yield _Cell((model, method, scheme), key, calibration, int(seed.removeprefix("seed")), metric, items, sources)


def means_matrix(columns: Mapping[Key, Column], calibrations: list[str]) -> pd.DataFrame:
    """Means over items and draws, calibrations down, columns across."""
    found = {key: [float(column.values[name].mean()) for name in calibrations] for key, column in columns.items()}
    matrix = pd.DataFrame(found, index=calibrations)
    matrix.columns = pd.MultiIndex.from_tuples(found, names=["metric", "eval_language"])
    return matrix
