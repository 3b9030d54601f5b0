"""Where the routers of a mixture of experts send the tokens of each language."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from polyprune.artifacts.identity import calibration_texts
from polyprune.artifacts.measurements import ROUTING, save_measurements
from polyprune.artifacts.tokens import load_tokens
from polyprune.log import logger
from polyprune.maths.routing import shares
from polyprune.model.decoder import sequences_per_batch
from polyprune.model.routing import routing_pass
from polyprune.model.variant import open_variants
from polyprune.settings.engine import Engine


def measure_routing(
    model: Path,
    cell: list[Path],
    evaluation: list[Path],
    languages: list[str],
    activation_tokens: int,
    variant: dict[str, Any],
    output: Path,
    device: torch.device,
    engine: Engine,
    provenance: dict[str, Any],
) -> None:
    """Write `output` (see `artifacts/measurements.py`). `cell` is the compressed weights; empty: the dense model.

    `evaluation` are texts in the order of `languages`, of which the first sequences are counted, as many as
    `activation_tokens` fill: at least one, at most all.
    """
    variants = open_variants(model, cell, device)
    decoder, (reader,) = variants.decoder, variants
    rows: list[dict[str, Any]] = []
    sources = {"model": variants.manifest["digest"], **calibration_texts([reader.brief] if reader else [])}
    for language, file in zip(languages, evaluation, strict=True):
        text = load_tokens(file, variants.of_text | {"language": language})
        tokens = torch.from_numpy(text.first(activation_tokens).tokens)
        batch = sequences_per_batch(engine.tokens_per_batch, tokens.shape[1])
        for layer, routing in routing_pass(decoder, tokens, reader, batch).items():
            about = variant | {"layer": layer, "eval_language": language, "n": int(routing.counts.sum())}
            values = zip(shares(routing.counts[None])[0], routing.removed, strict=True)
            rows += [
                about | {"expert": expert, "value": float(value), "removed": bool(removed)}
                for expert, (value, removed) in enumerate(values)
            ]
        sources[f"text {language}"] = text.digest
        logger.info("%s: %d sequences of %d tokens", language, *tokens.shape)
    about = {"variant": variant, "sources": sources, "cell": None if reader is None else reader.brief}
    save_measurements(output, rows, ROUTING, provenance | about)
