"""How language-specific MLP neurons are before and after compression, in groups by their LAPE in the dense model."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from polyprune.artifacts.activations import Activations
from polyprune.artifacts.identity import DENSE_VARIANT, of_variant, sources_of
from polyprune.artifacts.measurements import LAPE, save_measurements
from polyprune.errors import UserError
from polyprune.log import logger
from polyprune.maths.lape import activation_probability, box_statistics, groups_by_rank, lape

ALL_LAYERS = "all"
Row = dict[str, Any]


@dataclass(frozen=True)
class Neurons:
    """Neurons of one or all layers over some blocks of the text: LAPE (n,), p and mean |output| (n_languages, n)."""

    entropy: np.ndarray
    probability: np.ndarray
    output: np.ndarray


def measure_lape(
    dense: list[Path],
    cell: list[Path],
    languages: list[str],
    n_groups: int,
    variant: dict[str, Any],
    output: Path,
    provenance: dict[str, Any],
) -> None:
    """Write `output` (see `artifacts/measurements.py`).

    `dense` and `cell` are activation files in the order of `languages`; `cell` is empty to measure the dense model
    itself, whose two halves of the text then show what noise alone does.
    """
    started = time.monotonic()
    with ExitStack() as stack:
        of_dense, of_cell = (
            [
                stack.enter_context(Activations(file, {"language": language, **of_variant(of)}))
                for language, file in zip(languages, files, strict=True)
            ]
            for of, files in ((DENSE_VARIANT, dense), (variant, cell or dense))
        )
        sources = sources_of({file.path: file.header for file in (*of_dense, *of_cell)})
        n_blocks = {len(file.n_tokens) for file in (*of_dense, *of_cell)}
        if len(n_blocks) != 1 or n_blocks == {1}:
            raise UserError(f"{dense[0].parent}: activations of {sorted(n_blocks)} blocks cannot be halved alike")
        half = n_blocks.pop() // 2
        parts = {"full": (slice(None), slice(None)), "half": (slice(0, half), slice(half, None))}
        rows: list[Row] = []
        for series, (order_blocks, value_blocks) in parts.items():
            order, values = (
                [_neurons(files, layer, blocks) for layer in range(of_dense[0].n_layers)]
                for files, blocks in ((of_dense, order_blocks), (of_cell, value_blocks))
            )
            scopes = [(str(layer), *pair) for layer, pair in enumerate(zip(order, values, strict=True))]
            scopes.append((ALL_LAYERS, _joined(order), _joined(values)))
            for layer, by, of in scopes:
                about = variant | {"layer": layer, "series": series}
                rows += [about | row for row in group_rows(by.entropy, of, languages, n_groups)]
    never = {row["layer"]: row for row in rows if row["statistic"] == "n_never_active" and row["series"] == "full"}
    n = never[ALL_LAYERS]["n"]
    taken = time.monotonic() - started
    logger.info("%d neurons, %d never active, %.1f s", n, never[ALL_LAYERS]["value"], taken)
    save_measurements(output, rows, LAPE, provenance | {"variant": variant, "sources": sources})


def _neurons(files: Sequence[Activations], layer: int, blocks: slice) -> Neurons:
    """LAPE-1 to LAPE-3 of one layer over some blocks."""
    tokens = np.array([file.n_tokens[blocks].sum() for file in files])
    active, output = (
        np.stack([file.neurons(name, layer)[blocks].sum(axis=0) for file in files])
        for name in ("active", "sum_abs_out")
    )
    probability = activation_probability(active, tokens)
    return Neurons(lape(probability), probability, output / tokens[:, None])


def _joined(layers: Sequence[Neurons]) -> Neurons:
    return Neurons(
        np.concatenate([each.entropy for each in layers]),
        np.concatenate([each.probability for each in layers], axis=1),
        np.concatenate([each.output for each in layers], axis=1),
    )


def group_rows(order: np.ndarray, neurons: Neurons, languages: Sequence[str], n_groups: int) -> Iterator[Row]:
    """Boxes and means of groups of equally many neurons by ascending `order`; neurons without one are only counted."""
    never = int(np.isnan(neurons.entropy).sum())
    yield {"statistic": "n_never_active", "value": float(never), "n": len(neurons.entropy)}
    groups = groups_by_rank(order, n_groups)
    for group in range(n_groups):
        members = np.flatnonzero(groups == group)
        about: Row = {"group": group, "n": len(members)}
        for name, value in box_statistics(neurons.entropy[members]).items():
            yield about | {"statistic": f"lape_{name}", "value": value}
        if not len(members):
            continue
        p, out = neurons.probability[:, members], neurons.output[:, members]
        yield about | {"statistic": "p_max", "value": float(p.max(axis=0).mean())}
        yield about | {"statistic": "output_mean", "value": float(out.mean())}
        for language, of_p, of_out in zip(languages, p, out, strict=True):
            yield about | {"statistic": "p", "eval_language": language, "value": float(of_p.mean())}
            yield about | {"statistic": "|output|", "eval_language": language, "value": float(of_out.mean())}
