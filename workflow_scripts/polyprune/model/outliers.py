"""OWL's share of outliers in each layer, from one pass through the dense model."""

from __future__ import annotations

from fractions import Fraction

import torch

from polyprune.log import Progress
from polyprune.maths.owl import outlier_share
from polyprune.maths.statistics import InputSquares
from polyprune.maths.wanda import wanda_scores
from polyprune.model.calibration import Calibration
from polyprune.model.dense_pass import dense_readings


@torch.inference_mode()
def outlier_shares(calibration: Calibration, factor: float) -> list[Fraction]:
    """OWL-1 for all layers; `factor` is M."""
    progress = Progress(calibration.decoder.n_layers, "layer", every=0.0)
    shares: list[Fraction] = []
    for readings in dense_readings(calibration, InputSquares):
        scores = [
            wanda_scores(product.view(matrix), reading.statistic.total)
            for reading in readings
            for product, matrix in reading.matrices
        ]
        shares.append(outlier_share(scores, factor))
        progress.report(len(shares), f"outlier share {float(shares[-1]):.5f}")
    return shares
