"""Perplexity, pruning error and SNR of a variant, from its hidden-state dumps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from polyprune.artifacts.hidden_states import load_sums
from polyprune.artifacts.identity import of_variant, sources_of
from polyprune.artifacts.layer_rows import row_names
from polyprune.artifacts.scores import save_scores
from polyprune.log import logger
from polyprune.maths.drift import pruning_error, snr_db

Arrays = dict[str, np.ndarray]
Value = tuple[str, str | None, float, str, int]
"""Metric, layer, value, unit, tokens."""


def measure_drift(
    dumps: list[Path],
    languages: list[str],
    variant: dict[str, Any],
    perplexity: Path,
    drift: list[Path],
    provenance: dict[str, Any],
) -> None:
    """Write `perplexity` and, for a cell, `drift` (see `artifacts/scores.py`).

    `variant` holds the columns that name it: model, method, scheme, calibration, seed, corpus.
    """
    losses, drifts, headers = [], [], {}
    for language, dump in zip(languages, dumps, strict=True):
        found = load_sums(dump, {"language": language, "corpus": variant["corpus"], **of_variant(variant)})
        headers[dump] = found.header
        losses += [_row(variant, language, value) for value in prediction_scores(found.arrays)]
        if drift:
            drifts += [_row(variant, language, value) for value in drift_scores(found.arrays, found.d_model)]
    about = provenance | {
        "variant": variant,
        "sources": sources_of(headers),
        "cell": headers[dumps[0]]["provenance"]["cell"],
    }
    values = {row["eval_language"]: row["value"] for row in losses if row["metric"] == "perplexity"}
    logger.info("perplexity %s", ", ".join(f"{language} {value:.3f}" for language, value in values.items()))
    save_scores(perplexity, losses, about)
    for path in drift:
        save_scores(path, drifts, about)


def _row(variant: dict[str, Any], language: str, value: Value) -> dict[str, Any]:
    metric, layer, number, unit, n = value
    return variant | {
        "eval_language": language,
        "metric": metric,
        "layer": layer,
        "value": number,
        "unit": unit,
        "n": n,
    }


def prediction_scores(sums: Arrays) -> Iterator[Value]:
    """Loss over all predicted tokens, in the units people compare."""
    paired = "nll_pruned" in sums
    nll = sums["nll_pruned" if paired else "nll_dense"].astype(np.float64)
    n = nll.size
    yield "nll", None, float(nll.mean()), "nat/token", n
    yield "perplexity", None, math.exp(nll.mean()), "1", n
    yield "bits_per_byte", None, float(nll.sum() / math.log(2) / sums["bytes"].sum()), "bit/byte", n
    if paired:
        yield "kl", None, float(sums["kl"].mean(dtype=np.float64)), "nat/token", n
        yield "top1_agreement", None, float(sums["agree"].sum() / n), "1", n


def drift_scores(sums: Arrays, d_model: int) -> Iterator[Value]:
    """DRIFT-1 and DRIFT-2 per layer, and their means over the layers as transformers counts them.

    These are the outputs of blocks 1..L-1 and, for the last, the output of the final norm: the paper's 32 layers.
    """
    n = int(sums["n"].sum())
    totals = {name: sums[name].sum(axis=0) for name in ("norm", "sq", "diff")}
    error = pruning_error(n, totals["norm"], totals["diff"], d_model)
    snr = snr_db(totals["sq"], totals["diff"])
    names = row_names(len(error) - 2)
    counted = [*range(1, len(error) - 2), len(error) - 1]
    for metric, values, unit in (("pruning_error", error, "1"), ("snr", snr, "dB")):
        for row in range(1, len(names)):
            yield metric, names[row], float(values[row]), unit, n
        yield metric, "mean", float(values[counted].mean()), unit, n
