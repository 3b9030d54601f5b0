"""One pass through a dense model: how the inputs of its matrices range, layer by layer."""

from __future__ import annotations

import torch

from polyprune.errors import UserError
from polyprune.log import Progress
from polyprune.maths.checks import require_finite
from polyprune.maths.ranges import InputRanges
from polyprune.model.calibration import Calibration
from polyprune.model.dense_pass import dense_readings
from polyprune.model.statistics import Group


@torch.inference_mode()
def input_ranges(text: Calibration) -> list[dict[Group, InputRanges]]:
    """Of each layer, by the names of the matrices that read the same input; of experts that do so all together.

    Raises:
        UserError: inputs are not finite; names the layer.
    """
    progress, found = Progress(text.decoder.n_layers, "layer"), list[dict[Group, InputRanges]]()
    for readings in dense_readings(text, InputRanges):
        ranges: dict[Group, InputRanges] = {}
        for reading in readings:
            if reading.n_tokens == 0:  # an expert that no token is sent to
                continue
            group = tuple(dict.fromkeys(product.name for product, _ in reading.matrices))
            try:
                require_finite(reading.statistic.sizes, f"inputs of {', '.join(group)}")
            except ValueError as error:
                raise UserError(f"{text.decoder.prefix}.{len(found)}: {error}") from error
            if group in ranges:
                ranges[group].include(reading.statistic)
            else:
                ranges[group] = reading.statistic
        found.append(ranges)
        progress.report(len(found))
    return found
