"""How far a compressed model moves language-agnostic and language-specific features of prompts, by layer."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from polyprune.artifacts.identity import DENSE_VARIANT, of_variant, sources_of
from polyprune.artifacts.measurements import LSAR, save_measurements
from polyprune.artifacts.prompt_states import PromptStates
from polyprune.errors import UserError
from polyprune.log import logger
from polyprune.maths.lsar import Coordinates, highest_rank, mean_shift, pooled_basis, random_basis, specific_basis

RANDOM_SEED = 0
Means = list[np.ndarray]
"""Prompt means of one layer, float32 (P, d), a language each."""
Row = dict[str, Any]


def measure_lsar(
    dense: list[Path],
    cell: list[Path],
    languages: list[str],
    variant: dict[str, Any],
    output: Path,
    provenance: dict[str, Any],
) -> None:
    """Write `output` (see `artifacts/measurements.py`).

    `dense` and `cell` are prompt dumps of the two models, in the order of `languages`.
    """
    started = time.monotonic()
    with ExitStack() as stack:
        both = [
            [
                stack.enter_context(PromptStates(file, {"language": language, **of_variant(of)}))
                for language, file in zip(languages, files, strict=True)
            ]
            for of, files in ((DENSE_VARIANT, dense), (variant, cell))
        ]
        sources = sources_of({dump.path: dump.header for dumps in both for dump in dumps})
        _require_parallel([dump for dumps in both for dump in dumps])
        layers = both[0][0].layers
        tokens = [dump.sums("distance").sum(axis=0) for dump in both[1]]
        n_tokens = [int(dump.n_content.sum()) for dump in both[1]]
        rows: list[Row] = []
        for index in range(1, len(layers)):
            of_dense, of_cell = ([dump.means(index) for dump in dumps] for dumps in both)
            where = variant | {"layer": layers[index]}
            for language, total, n in zip(languages, tokens, n_tokens, strict=True):
                value = float(total[index] / n)
                rows.append(where | {"eval_language": language, "metric": "token_shift", "value": value, "n": n})
            try:
                rows += [where | row for row in layer_shifts(of_dense, of_cell, languages)]
            except ValueError as error:
                raise UserError(f"{cell[0].parent}, layer {layers[index]}: {error}") from error
    logger.info("%d layers, %d languages, %.1f s", len(layers) - 1, len(languages), time.monotonic() - started)
    save_measurements(output, rows, LSAR, provenance | {"variant": variant, "sources": sources})


def _require_parallel(dumps: Sequence[PromptStates]) -> None:
    for dump in dumps:
        if dump.items != dumps[0].items:
            raise UserError(f"{dump.path} has other prompts than {dumps[0].path}: LSAR needs parallel ones")


def layer_shifts(dense: Means, pruned: Means, languages: Sequence[str]) -> Iterator[Row]:
    """LSAR-3 of one layer: whole embeddings, then both parts with every projector and rank."""
    for language, e, e_pruned in zip(languages, dense, pruned, strict=True):
        whole, of_mean = mean_shift(e, e_pruned)
        about = {"eval_language": language, "n": len(e)}
        yield about | {"metric": "prompt_shift", "value": whole}
        yield about | {"metric": "prompt_shift_of_mean", "value": of_mean}
    rank = highest_rank(len(languages))
    yield from _with_projectors(dense, pruned, languages, rank)
    yield from _cross_fitted(dense, pruned, languages, rank)


def _averages(prompts: Means) -> np.ndarray:
    """The languages' means, float64 (L, d)."""
    return np.stack([each.mean(axis=0, dtype=np.float64) for each in prompts])


def _with_projectors(dense: Means, pruned: Means, languages: Sequence[str], rank: int) -> Iterator[Row]:
    m, m_pruned = _averages(dense), _averages(pruned)
    own, own_pruned = specific_basis(m, rank), specific_basis(m_pruned, rank)
    pooled, random = pooled_basis(m, m_pruned, rank), random_basis(m.shape[1], rank, RANDOM_SEED)
    projectors = {
        "per_model": (own, own_pruned),
        "dense": (own, own),
        "pooled": (pooled, pooled),
        "random": (random, random),
    }
    for projector, bases in projectors.items():
        for language, e, e_pruned in zip(languages, dense, pruned, strict=True):
            coordinates = Coordinates(e, e_pruned, *bases)
            for r in range(1, rank + 1):
                yield from _rows(language, projector, r, len(e), vars(coordinates.shifts(r)))


def _cross_fitted(dense: Means, pruned: Means, languages: Sequence[str], rank: int) -> Iterator[Row]:
    """One projector a model from one half of the prompts, measured on the other; mean of both ways round.

    The halves are the first and the last prompts, so that questions on one passage stay on one side.
    """
    n = len(dense[0])
    halves = (slice(0, n // 2), slice(n // 2, n))
    folds: list[list[Coordinates]] = []
    for fit, held_out in (halves, halves[::-1]):
        bases = [specific_basis(_averages([each[fit] for each in prompts]), rank) for prompts in (dense, pruned)]
        folds.append([Coordinates(e[held_out], e_p[held_out], *bases) for e, e_p in zip(dense, pruned, strict=True)])
    for index, language in enumerate(languages):
        for r in range(1, rank + 1):
            first, second = (vars(fold[index].shifts(r)) for fold in folds)
            both = {name: (first[name] + second[name]) / 2 for name in first}
            yield from _rows(language, "cross_fitted", r, n, both)


def _rows(language: str, projector: str, rank: int, n: int, values: dict[str, float]) -> Iterator[Row]:
    names = {
        "agnostic": "agnostic_shift",
        "specific": "specific_shift",
        "agnostic_of_mean": "agnostic_shift_of_mean",
        "specific_of_mean": "specific_shift_of_mean",
    }
    for name, value in values.items():
        about = {"eval_language": language, "projector": projector, "rank": rank, "n": n}
        yield about | {"metric": names[name], "value": value}
