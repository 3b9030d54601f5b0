"""Measure how many outliers each layer of a dense model has: what OWL's sparsities by layer are made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from polyprune.artifacts.outliers import save_outliers
from polyprune.log import logger
from polyprune.model.calibration import open_calibration
from polyprune.model.outliers import outlier_shares
from polyprune.settings.engine import Engine


def measure_outliers(
    model: Path,
    tokens: Path,
    outlier_factor: float,
    output: Path,
    device: torch.device,
    engine: Engine,
    provenance: dict[str, Any],
) -> None:
    """Write `output` (see `artifacts/outliers.py`)."""
    calibration = open_calibration(model, tokens, device, engine)
    logger.info("outliers on %d x %d tokens, %s", *calibration.tokens.shape, calibration.decoder.device)
    save_outliers(output, outlier_shares(calibration, outlier_factor), provenance | calibration.digests)
