"""Score files for tests of tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.helpers.headers import scored

from polyprune.artifacts.scores import save_scores

UNITS = {
    "perplexity": "1",
    "bits_per_byte": "bit/byte",
    "snr": "dB",
    "pruning_error": "1",
    "kl": "nat/token",
    "top1_agreement": "1",
    "pruning_error_robust": "1",
    "snr_robust": "dB",
    "massive_tokens": "token",
}
_OF_LAYERS = ("snr", "pruning_error", "snr_robust", "pruning_error_robust", "massive_tokens")


def write_variant(
    folder: Path, model: str, values: Mapping[tuple[str, str], float], cell: tuple[str, str, str, int] | None = None
) -> Path:
    """One score file of a variant: values by metric and language; of the dense model if `cell` is None."""
    method, scheme, calibration, seed = cell or ("dense", "dense", "dense", None)
    variant: dict[str, Any] = {
        "model": model,
        "method": method,
        "scheme": scheme,
        "calibration": calibration,
        "seed": seed,
    }
    rows = [
        {
            **variant,
            "corpus": "c",
            "metric": metric,
            "eval_language": language,
            "layer": "mean" if metric in _OF_LAYERS else None,
            "value": value,
            "unit": UNITS[metric],
            "n": 100,
        }
        for (metric, language), value in values.items()
    ]
    path = folder / f"{model}-{method}-{scheme}-{calibration}-{seed}.parquet"
    save_scores(path, rows, scored({**variant, "corpus": "c"}))
    return path
