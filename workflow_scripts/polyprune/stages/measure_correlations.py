"""Measure how alike languages use each layer of a dense model: what sparsities by layer are made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from polyprune.artifacts.correlations import save_correlations
from polyprune.grammar.calibrations import parse_calibration
from polyprune.log import logger
from polyprune.model.calibration import open_calibration
from polyprune.model.correlations import correlations_of_layers
from polyprune.settings.engine import Engine


def measure_correlations(
    model: Path,
    tokens: Path,
    calibration: str,
    output: Path,
    device: torch.device,
    engine: Engine,
    provenance: dict[str, Any],
) -> None:
    """Write `output` (see `artifacts/correlations.py`).

    Raises:
        UserError: the calibration is in one language.
    """
    asked = parse_calibration(calibration)
    text = open_calibration(model, tokens, device, engine, languages=list(asked.languages))
    logger.info("languages of %d x %d tokens, %s", *text.tokens.shape, text.decoder.device)
    found = correlations_of_layers(text, asked.by_language(len(text.tokens)))
    save_correlations(output, found, provenance | text.digests)
