"""OWL's share of outliers in each layer, from one pass through the dense model."""

from __future__ import annotations

from fractions import Fraction

import torch

from polyprune.log import Progress
from polyprune.maths.owl import outlier_share
from polyprune.maths.statistics import InputSquares
from polyprune.maths.wanda import wanda_scores
from polyprune.model.calibration import Calibration
from polyprune.model.compression import batches, propagate
from polyprune.model.decoder import linears_of
from polyprune.model.statistics import PROBE_TOKENS, anatomy, collect


@torch.inference_mode()
def outlier_shares(calibration: Calibration, factor: float) -> list[Fraction]:
    """OWL-1 for all layers; `factor` is M."""
    decoder, batch = calibration.decoder, calibration.batch
    hidden, calls = decoder.embed(calibration.tokens, batch, calibration.offload)
    _, short_calls = decoder.embed(calibration.tokens[:1, :PROBE_TOKENS], 1)
    progress = Progress(decoder.n_layers, "layer", every=0.0)
    shares: list[Fraction] = []
    for index, layer in decoder.walk():
        linears = linears_of(layer)
        few = hidden[:1, :PROBE_TOKENS].to(decoder.device)
        found = anatomy(layer, linears, few, short_calls[index], f"{decoder.prefix}.{index}")
        inputs = batches(hidden, batch, decoder.device)
        squares = collect(layer, linears, found, found.groups, inputs, calls[index], InputSquares)
        scores = [
            wanda_scores(linears[name].weight, statistic.total)
            for group, statistic in zip(found.groups, squares, strict=True)
            for name in group
        ]
        shares.append(outlier_share(scores, factor))
        if index + 1 < decoder.n_layers:
            propagate(layer, hidden, calls[index], batch)
        progress.report(index + 1, f"outlier share {float(shares[-1]):.5f}")
    return shares
