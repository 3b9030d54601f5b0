"""How far the masks of a grid agree, matrix by matrix: of seeds of a calibration language, and between languages."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from polyprune.artifacts.cell_shares import layer_of
from polyprune.artifacts.cells import CellReader
from polyprune.artifacts.identity import calibration_texts, of_variant, require_agreement
from polyprune.artifacts.measurements import MASK_IOU, WHOLE_EXPERTS, save_measurements
from polyprune.errors import UserError
from polyprune.grammar.calibrations import is_single_language
from polyprune.grammar.matrices import matrix_title
from polyprune.log import logger
from polyprune.maths.iou import (
    chance_iou,
    chance_iou_of_stable,
    count_bits,
    iou_of_pair,
    iou_of_seeds,
    pairwise_iou_between,
    pairwise_iou_within,
    stable_kept,
)

Readers = dict[str, list[CellReader]]
"""Cells by calibration, a list over seeds."""


def measure_mask_iou(
    cells: list[Path], variants: list[dict[str, Any]], output: Path, provenance: dict[str, Any]
) -> None:
    """Write `output` (see `artifacts/measurements.py`).

    `variants` name the cells, in their order: model, method, scheme, calibration, seed. What is compared has the first
    three in common; each calibration has the same seeds, at least two.
    """
    started = time.monotonic()
    groups: dict[tuple[str, str, str], dict[str, list[tuple[int, CellReader]]]] = {}
    for path, variant in zip(cells, variants, strict=True):
        key = (variant["model"], variant["method"], variant["scheme"])
        of_group = groups.setdefault(key, {}).setdefault(variant["calibration"], [])
        of_group.append((variant["seed"], CellReader(path, of_variant(variant))))
    rows: list[dict[str, Any]] = []
    for (model, method, scheme), by_calibration in groups.items():
        readers = _in_seed_order(by_calibration, f"{model}/{method}/{scheme}")
        columns = {"model": model, "method": method, "scheme": scheme}
        rows += [columns | row for row in compare(readers)]
    compared = sum(file.stat().st_size for file in cells) / 1e6
    logger.info("%d masks, files of %.1f MB, %.1f s", len(cells), compared, time.monotonic() - started)
    sources: dict[str, str] = {}
    for (model, method, scheme), by_calibration in groups.items():
        for name, value in _sources(by_calibration).items():
            known = sources.setdefault(f"{name} of {model}", value)
            if known != value:
                raise UserError(
                    f"{model}/{method}/{scheme} has {name} {value}, other cells of the model {known}: they were not "
                    "made from the same; delete the older ones and make them again"
                )
    save_measurements(output, rows, MASK_IOU, provenance | {"variants": variants, "sources": sources})


def _sources(by_calibration: Mapping[str, Sequence[tuple[int, CellReader]]]) -> dict[str, str]:
    """Digests of the model that all these cells were made from, `UserError` if it was not one, and of their texts."""
    headers = {cell.path: cell.metadata for cells in by_calibration.values() for _, cell in cells}
    require_agreement(headers, ("model_digest",))
    return {"model": next(iter(headers.values()))["model_digest"], **calibration_texts(list(headers.values()))}


def _in_seed_order(by_calibration: Mapping[str, list[tuple[int, CellReader]]], where: str) -> Readers:
    seeds = {name: sorted(seed for seed, _ in cells) for name, cells in by_calibration.items()}
    first = next(iter(seeds.values()))
    if any(found != first for found in seeds.values()) or len(first) < 2:
        raise UserError(f"{where}: masks are compared over the same two or more seeds of each calibration, not {seeds}")
    return {
        name: [reader for _, reader in sorted(cells, key=lambda cell: cell[0])]
        for name, cells in sorted(by_calibration.items())
    }


def compare(readers: Readers) -> Iterator[dict[str, Any]]:
    """Rows of all matrices of one model, method and scheme."""
    first = next(iter(readers.values()))[0]
    columns = first.columns
    for cell in (cell for cells in readers.values() for cell in cells):
        if cell.columns != columns:
            raise UserError(f"{cell.path} has other matrices than the cells it is compared with")
    for name, d_in in columns.items():
        kept = {calibration: [cell.packed_keep(name) for cell in cells] for calibration, cells in readers.items()}
        matrix = WHOLE_EXPERTS if first.removes_experts else matrix_title(name)
        where = {"layer": layer_of(name), "matrix": matrix}
        for row in compare_matrix(kept, d_in):
            yield where | row


def compare_matrix(kept: Mapping[str, Sequence[np.ndarray]], d_in: int) -> Iterator[dict[str, Any]]:
    """IOU-1 and IOU-3 of each calibration, IOU-2 and IOU-3 of each two."""
    first = next(iter(kept.values()))
    n, n_seeds = first[0].shape[0] * d_in, len(first)
    n_masks = sum(map(len, kept.values()))
    pruned = 1 - sum(count_bits(mask) for masks in kept.values() for mask in masks) / (n * n_masks)

    def row(calibration: str, comparison: str, value: float, chance: float) -> dict[str, Any]:
        what = {"calibration": calibration, "comparison": comparison, "n": n, "n_seeds": n_seeds}
        return what | {"value": value, "chance": chance}

    pair = chance_iou(pruned, 2)
    for calibration, masks in kept.items():
        yield row(calibration, "seeds", iou_of_seeds(masks, n), chance_iou(pruned, n_seeds))
        yield row(calibration, "pairs", pairwise_iou_within(masks, n), pair)
    stable = {calibration: stable_kept(masks) for calibration, masks in kept.items()}
    for a, b in combinations(kept, 2):
        both = f"{a}-{b}" if is_single_language(a) and is_single_language(b) else f"{a} & {b}"
        yield row(both, "stable", iou_of_pair(stable[a], stable[b], n), chance_iou_of_stable(pruned, n_seeds))
        yield row(both, "pairs", pairwise_iou_between(kept[a], kept[b], n), pair)
