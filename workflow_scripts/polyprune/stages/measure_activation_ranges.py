"""How the inputs of a dense model's matrices range in each language, and which of their features are salient there."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import torch

from polyprune.artifacts.measurements import ACTIVATION_RANGES, save_measurements
from polyprune.artifacts.tokens import load_tokens
from polyprune.grammar.matrices import matrix_title
from polyprune.log import logger
from polyprune.maths.ranges import InputRanges, salient, salient_overlap
from polyprune.model.calibration import Calibration
from polyprune.model.decoder import sequences_per_batch
from polyprune.model.ranges import input_ranges
from polyprune.model.variant import open_variants
from polyprune.settings.engine import Engine


def measure_activation_ranges(
    model: Path,
    evaluation: list[Path],
    languages: list[str],
    activation_tokens: int,
    variant: dict[str, Any],
    output: Path,
    device: torch.device,
    engine: Engine,
    provenance: dict[str, Any],
) -> None:
    """Write `output` (see `artifacts/measurements.py`).

    `evaluation` are texts in the order of `languages`, of which the first sequences are read, as many as
    `activation_tokens` fill: at least one, at most all.
    """
    opened = open_variants(model, [], device)
    sources, rows = {"model": opened.manifest["digest"]}, list[dict[str, Any]]()
    important: dict[tuple[int, str], dict[str, torch.Tensor]] = {}
    for language, file in zip(languages, evaluation, strict=True):
        text = load_tokens(file, opened.of_text | {"language": language})
        tokens = torch.from_numpy(text.first(activation_tokens).tokens)
        batch = sequences_per_batch(engine.tokens_per_batch, tokens.shape[1])
        run = Calibration(opened.decoder, tokens, batch, engine.offload == "cpu", {})
        for layer, ranges in enumerate(input_ranges(run)):
            for group, seen in ranges.items():
                matrix = " ".join(map(matrix_title, group))
                where = variant | {"layer": layer, "matrix": matrix, "eval_language": language, "n": seen.n_tokens}
                rows += [where | {"metric": metric, "value": value} for metric, value in _summary(seen).items()]
                important.setdefault((layer, matrix), {})[language] = salient(seen.sizes).cpu()
        sources[f"text {language}"] = text.digest
        logger.info("%s: %d sequences of %d tokens", language, *tokens.shape)
    for (layer, matrix), of_language in important.items():
        for first, second in combinations(of_language, 2):
            rows.append(
                variant
                | {"layer": layer, "matrix": matrix, "eval_language": first, "other_language": second}
                | {"metric": "salient_overlap", "n": int(of_language[first].sum())}
                | {"value": salient_overlap(of_language[first], of_language[second])}
            )
    save_measurements(output, rows, ACTIVATION_RANGES, provenance | {"variant": variant, "sources": sources})


def _summary(seen: InputRanges) -> dict[str, float]:
    """Of all features together, and of the one in the middle."""
    return {
        "lowest": float(seen.lowest.min()),
        "highest": float(seen.highest.max()),
        "median_range": float((seen.highest - seen.lowest).double().quantile(0.5)),
    }
