"""How far the masks of checkpoints agree with those computed here, matrix by matrix."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from polyprune.artifacts.cell_shares import layer_of
from polyprune.artifacts.cells import CellReader
from polyprune.artifacts.identity import calibration_texts, of_variant, require_agreement
from polyprune.artifacts.measurements import MASK_AGREEMENT, save_measurements
from polyprune.errors import UserError
from polyprune.grammar.paths import ORIGIN
from polyprune.log import logger
from polyprune.maths.iou import count_bits

_BLOCK = ("model", "method", "scheme", "calibration")


def compare_masks(cells: list[Path], variants: list[dict[str, Any]], output: Path, provenance: dict[str, Any]) -> None:
    """Write `output` (see `artifacts/measurements.py`).

    `variants` name the cells, in their order. A checkpoint's cell is compared with all cells computed here of its
    model, method, scheme and calibration, whatever their seed. A matrix that a cell leaves dense is kept whole.
    """
    readers = [CellReader(path, of_variant(variant)) for path, variant in zip(cells, variants, strict=True)]
    rows: list[dict[str, Any]] = []
    for theirs, variant in zip(readers, variants, strict=True):
        block = {name: variant[name].partition(ORIGIN)[0] for name in _BLOCK}
        ours = [
            (mine["seed"], reader)
            for reader, mine in zip(readers, variants, strict=True)
            if ORIGIN in variant["method"] and {name: mine[name] for name in _BLOCK} == block
        ]
        for seed, reader in ours:
            require_agreement({each.path: each.metadata for each in (theirs, reader)}, ("model_digest",))
            rows += [variant | {"seed_here": seed} | row for row in agreement(theirs, reader)]
    if not rows:
        raise UserError(f"{output}: no cell of a checkpoint has a cell computed here beside it; list both in the grid")
    logger.info("%d matrices compared", len(rows))
    sources: dict[str, str] = {}
    for reader, variant in zip(readers, variants, strict=True):
        sources[f"model of {variant['model']}"] = reader.metadata["model_digest"]
        found = calibration_texts([reader.metadata])
        sources |= {f"{name} of {variant['model']}": value for name, value in found.items()}
    save_measurements(output, rows, MASK_AGREEMENT, provenance | {"variants": variants, "sources": sources})


def agreement(theirs: CellReader, ours: CellReader) -> Iterator[dict[str, Any]]:
    """Of each matrix that either cell compresses, the share of weights whose fate is the same."""
    for name in sorted({**theirs.columns, **ours.columns}, key=lambda each: (layer_of(each), each)):
        masks = [cell.packed_keep(name) if name in cell.columns else None for cell in (theirs, ours)]
        rows = next(len(mask) for mask in masks if mask is not None)
        d_in = theirs.columns.get(name) or ours.columns[name]
        whole = np.packbits(np.ones((rows, d_in), dtype=bool), axis=1, bitorder="little")
        first, second = (whole if mask is None else mask for mask in masks)
        n = rows * d_in
        differ = count_bits(first ^ second)
        yield {"layer": layer_of(name), "matrix": name.split(".")[-1], "value": 1 - differ / n, "n": n}
