"""Put a cell together from the layers of finished ones: a cell with some layers of another, or of the dense model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polyprune.artifacts.cells import CellReader, join_layers, layer_of, save_layer
from polyprune.artifacts.identity import require_agreement
from polyprune.artifacts.weights import CellWeight
from polyprune.grammar.paths import DENSE
from polyprune.grammar.schemes import parse_scheme
from polyprune.log import logger
from polyprune.model.cells import open_cell

MADE_ALIKE = ("dtype", "compression")
"""What the cells that one is composed of must have in common, beside model, method, scheme and seed."""


def compose_cell(
    model: Path,
    rest: Path,
    part: list[Path],
    method: str,
    scheme: str,
    calibration: str,
    seed: int,
    n_layers: int,
    output: Path,
    provenance: dict[str, Any],
) -> None:
    """Write `output` (see `artifacts/cells.py`): the layers that the scheme names from `part`, all others from `rest`.

    `part` is one cell; if the layers are to be the dense model's, none. Nothing is compressed anew: a layer is, bit by
    bit, what it was where it is from.
    """
    parsed = parse_scheme(scheme)
    if parsed.exchange is None:
        raise ValueError(f"scheme {scheme} is not composed")
    shared = {"method": method, "scheme": parsed.plain, "seed": seed}
    base = open_cell(rest, model, {**shared, "calibration": calibration})
    other = open_cell(part[0], model, {**shared, "calibration": parsed.exchange.part}) if part else None
    if other is not None:
        require_agreement({cell.path: cell.metadata for cell in (base, other)}, MADE_ALIKE)
    taken = parsed.exchange.indices(n_layers)
    sources = [other if index in taken else base for index in range(n_layers)]
    metadata = provenance | _about(base, other, sources)
    parts = output.with_name(output.name + ".layers")
    for index, source in enumerate(sources):
        save_layer(parts, index, {} if source is None else _layer(source, index), metadata)
    join_layers(parts, n_layers, output, metadata)
    logger.info("%d of %d layers from %s", len(taken), n_layers, part[0] if part else "the dense model")


def _layer(cell: CellReader, index: int) -> dict[str, CellWeight]:
    """What a cell holds of a layer's matrices, by full name."""
    found = {name: cell.weight(name) for name in cell.columns if layer_of(name) == index}
    return {name: weight for name, weight in found.items() if weight is not None}


def _about(base: CellReader, other: CellReader | None, sources: list[CellReader | None]) -> dict[str, Any]:
    """Header entries: those that readers of any cell look for, and what this one was made of."""
    inherited = ("model_digest", "calibration_digest", "dtype", "compression")
    about = {name: base.metadata[name] for name in inherited}
    about |= {"rest": base.job, "part": DENSE if other is None else other.job}
    if "layer_sparsities" in base.metadata:
        shares = [cell.metadata["layer_sparsities"][index] if cell else 0.0 for index, cell in enumerate(sources)]
        about |= {"layer_sparsities": shares}
    return about
