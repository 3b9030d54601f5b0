"""OWL's sparsity of each layer, from one pass through the dense model."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from polyprune.errors import UserError
from polyprune.grammar import Scheme
from polyprune.log import Progress
from polyprune.maths.owl import layer_sparsities, outlier_share
from polyprune.maths.statistics import InputSquares
from polyprune.maths.wanda import wanda_scores
from polyprune.model.compression import batches, propagate
from polyprune.model.decoder import Decoder, linears_of
from polyprune.model.statistics import PROBE_TOKENS, anatomy, collect


@torch.inference_mode()
def owl_sparsities(
    decoder: Decoder, tokens: Tensor, scheme: Scheme, settings: dict[str, Any], batch: int, offload: bool = False
) -> tuple[Fraction, ...]:
    """OWL-1 and OWL-2 for all layers; `settings` is `compression.owl` of config.yaml.

    Raises:
        UserError: a layer's sparsity would not be between 0 and 1.
    """
    if scheme.sparsity is None:
        raise ValueError(f"scheme {scheme.text} has no sparsity that layers could differ in")
    hidden, calls = decoder.embed(tokens, batch, offload)
    _, short_calls = decoder.embed(tokens[:1, :PROBE_TOKENS], 1)
    progress = Progress(decoder.n_layers, "outliers of layer")
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
        shares.append(outlier_share(scores, settings["outlier_factor"]))
        propagate(layer, hidden, calls[index], batch)
        progress.report(index + 1, f"outlier share {float(shares[-1]):.5f}")
    try:
        spread = Fraction(str(settings["spread"]))
        return tuple(layer_sparsities(shares, scheme.sparsity, spread))
    except ValueError as error:
        raise UserError(f"{error} (compression.owl.spread in config.yaml)") from error
