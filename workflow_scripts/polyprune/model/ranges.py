"""One pass through a dense model: how the inputs of its matrices range, layer by layer."""

from __future__ import annotations

import torch

from polyprune.log import Progress
from polyprune.maths.ranges import InputRanges
from polyprune.model.calibration import Calibration, Flow
from polyprune.model.compression import batches, propagate
from polyprune.model.statistics import Group, anatomy, collect


@torch.inference_mode()
def input_ranges(text: Calibration) -> list[dict[Group, InputRanges]]:
    """Of each layer, by the names of the matrices that read the same input; of experts that do so all together."""
    decoder, flow = text.decoder, Flow(text)
    progress, found = Progress(decoder.n_layers, "layer"), list[dict[Group, InputRanges]]()
    for index, layer in decoder.walk():
        products = decoder.products(index)
        parts = anatomy(layer, products, *flow.few(index), f"{decoder.prefix}.{index}")
        inputs = batches(flow.hidden, text.batch, decoder.device)
        ranges: dict[Group, InputRanges] = {}
        for reading in collect(layer, products, parts, parts.groups, inputs, flow.calls[index], InputRanges):
            if reading.n_tokens == 0:  # an expert that no token is sent to
                continue
            group = tuple(dict.fromkeys(product.name for product, _ in reading.matrices))
            if group in ranges:
                ranges[group].include(reading.statistic)
            else:
                ranges[group] = reading.statistic
        found.append(ranges)
        propagate(layer, flow.hidden, flow.calls[index], text.batch)
        progress.report(index + 1)
    return found
