"""What a compressed model's linear layers put out on average, channel by channel, beside the dense model's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polyprune.artifacts.activations import MATRICES, Activations
from polyprune.artifacts.identity import DENSE_VARIANT, of_variant, require_agreement, sources_of
from polyprune.artifacts.measurements import MEAN_ACTIVATIONS, save_measurements
from polyprune.log import logger


def measure_mean_activations(
    dense: Path, cell: Path, variant: dict[str, Any], output: Path, provenance: dict[str, Any]
) -> None:
    """Write `output` (see `artifacts/measurements.py`) from activation files of the two models on the same text."""
    with (
        Activations(dense, of_variant(DENSE_VARIANT)) as of_dense,
        Activations(cell, of_variant(variant)) as of_cell,
    ):
        headers = {dense: of_dense.header, cell: of_cell.header}
        require_agreement(headers, ("language",))
        sources = sources_of(headers)
        n = int(of_cell.n_tokens.sum())
        rows: list[dict[str, Any]] = []
        for matrix in MATRICES:
            (mean, magnitude), (pruned, pruned_magnitude) = (each.mean_outputs(matrix) for each in (of_dense, of_cell))
            for layer in range(len(mean)):
                where = variant | {"layer": layer + 1, "matrix": matrix, "n": n}
                columns = zip(mean[layer], pruned[layer], magnitude[layer], pruned_magnitude[layer], strict=True)
                for channel, values in enumerate(columns):
                    names = ("dense", "pruned", "dense_magnitude", "pruned_magnitude")
                    rows.append(where | {"channel": channel} | dict(zip(names, map(float, values), strict=True)))
    logger.info("%d channels, %d tokens", len(rows), n)
    save_measurements(output, rows, MEAN_ACTIVATIONS, provenance | {"variant": variant, "sources": sources})
