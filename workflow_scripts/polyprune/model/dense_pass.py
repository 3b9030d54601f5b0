"""One pass through a dense model: the statistics of its matrices' inputs, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from polyprune.model.calibration import Calibration, Flow
from polyprune.model.compression import batches, propagate
from polyprune.model.statistics import Create, Reading, anatomy, collect, collect_by_language


def dense_readings(text: Calibration, create: Create, languages: Sequence[slice] = ()) -> Iterator[list[Reading]]:
    """Of each layer in turn; if sequences are in `languages`, of each language apart, joined."""
    decoder, flow = text.decoder, Flow(text)
    for index, layer in decoder.walk():
        products = decoder.products(index)
        found = anatomy(layer, products, *flow.few(index), f"{decoder.prefix}.{index}")
        how = (flow.calls[index], create)
        if languages:
            inputs = [batches(flow.hidden[each], text.batch, decoder.device) for each in languages]
            yield collect_by_language(layer, products, found, found.groups, inputs, *how)
        else:
            inputs = batches(flow.hidden, text.batch, decoder.device)
            yield collect(layer, products, found, found.groups, inputs, *how)
        if index + 1 < decoder.n_layers:
            propagate(layer, flow.hidden, flow.calls[index], text.batch)
