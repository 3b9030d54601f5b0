"""Perplexity, pruning error and SNR of a variant, from its hidden-state dumps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
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
        "text": framing_of(headers[dumps[0]]["provenance"]["data"]),
    }
    values = {row["eval_language"]: row["value"] for row in losses if row["metric"] == "perplexity"}
    logger.info("perplexity %s", ", ".join(f"{language} {value:.3f}" for language, value in values.items()))
    save_scores(perplexity, losses, about)
    for path in drift:
        save_scores(path, drifts, about)


def framing_of(text: Mapping[str, Any]) -> dict[str, Any]:
    """What the header of an evaluation text says of what stands around its documents."""
    return {name: text[name] for name in ("framing", "around")}


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
    """Loss over all targets, in the units people compare, and how many predicted tokens are none."""
    paired, targets = "nll_pruned" in sums, sums["target"] == 1
    nll = sums["nll_pruned" if paired else "nll_dense"][targets].astype(np.float64)
    n = nll.size
    yield "nll", None, float(nll.mean()), "nat/token", n
    yield "perplexity", None, math.exp(nll.mean()), "1", n
    yield "bits_per_byte", None, float(nll.sum() / math.log(2) / sums["bytes"].sum()), "bit/byte", n
    if paired:
        yield "kl", None, float(sums["kl"][targets].mean(dtype=np.float64)), "nat/token", n
        yield "top1_agreement", None, float(sums["agree"].sum() / n), "1", n
    yield "special_targets", None, float(targets.size - n), "token", targets.size


def drift_scores(sums: Arrays, d_model: int) -> Iterator[Value]:
    """DRIFT-1, -2 and -3 and MASSIVE-1's tokens per layer, and means over the layers as transformers counts them.

    These are the outputs of blocks 1..L-1 and, for the last, the output of the final norm: the paper's 32 layers.
    """
    names = row_names(sums["sq"].shape[1] - 2)
    counted = [*range(1, len(names) - 2), len(names) - 1]
    all_tokens = np.full(len(names), sums["n"].sum())
    usual = sums["robust_n"].sum(axis=0).astype(np.int64)

    def rows(metric: str, values: np.ndarray, unit: str, n: np.ndarray) -> Iterator[Value]:
        for row in range(1, len(names)):
            yield metric, names[row], float(values[row]), unit, int(n[row])
        yield metric, "mean", float(values[counted].mean()), unit, int(n[counted].min())

    for variant, prefix, n in (("", "", all_tokens), ("_robust", "robust_", usual)):
        norm, sq, diff = (sums[f"{prefix}{name}"].sum(axis=0) for name in ("norm", "sq", "diff"))
        yield from rows(f"pruning_error{variant}", pruning_error(n, norm, diff, d_model), "1", n)
        yield from rows(f"snr{variant}", snr_db(sq, diff), "dB", n)
    yield from rows("massive_tokens", all_tokens - usual, "token", all_tokens)
