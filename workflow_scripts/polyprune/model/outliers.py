"""OWL's share of outliers in each layer, from one pass through the dense model."""

from __future__ import annotations

from fractions import Fraction

import torch

from polyprune.log import Progress
from polyprune.maths.owl import outlier_share
from polyprune.maths.statistics import InputSquares
from polyprune.maths.wanda import wanda_scores
from polyprune.model.calibration import Calibration, Flow
from polyprune.model.compression import batches, propagate
from polyprune.model.decoder import linears_of
from polyprune.model.statistics import anatomy, collect


@torch.inference_mode()
def outlier_shares(calibration: Calibration, factor: float) -> list[Fraction]:
    """OWL-1 for all layers; `factor` is M."""
    decoder, batch = calibration.decoder, calibration.batch
    flow = Flow(calibration)
    progress = Progress(decoder.n_layers, "layer", every=0.0)
    shares: list[Fraction] = []
    for index, layer in decoder.walk():
        linears = linears_of(layer)
        found = anatomy(layer, linears, *flow.few(index), f"{decoder.prefix}.{index}")
        inputs = batches(flow.hidden, batch, decoder.device)
        squares = collect(layer, linears, found, found.groups, inputs, flow.calls[index], InputSquares)
        scores = [
            wanda_scores(linears[name].weight, statistic.total)
            for group, statistic in zip(found.groups, squares, strict=True)
            for name in group
        ]
        shares.append(outlier_share(scores, factor))
        if index + 1 < decoder.n_layers:
            propagate(layer, flow.hidden, flow.calls[index], batch)
        progress.report(index + 1, f"outlier share {float(shares[-1]):.5f}")
    return shares
