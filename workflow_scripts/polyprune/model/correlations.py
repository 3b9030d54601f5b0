"""How alike languages use each layer, from one pass through the dense model."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from polyprune.errors import UserError
from polyprune.log import Progress
from polyprune.maths.correlation import correlation_of_languages
from polyprune.maths.statistics import InputSquaresByLanguage
from polyprune.model.calibration import Calibration
from polyprune.model.dense_pass import dense_readings


@torch.inference_mode()
def correlations_of_layers(calibration: Calibration, languages: Sequence[slice]) -> list[float]:
    """CORR-1 for all layers; `languages` are the sequences of each.

    Raises:
        UserError: statistics that are not finite, or do not correlate; names the layer.
    """
    progress = Progress(calibration.decoder.n_layers, "layer", every=0.0)
    found: list[float] = []
    for readings in dense_readings(calibration, InputSquaresByLanguage, languages):
        try:
            found.append(correlation_of_languages([each.statistic.root_mean_squares for each in readings]))
        except ValueError as error:
            raise UserError(f"{calibration.decoder.prefix}.{len(found)}: {error}") from error
        progress.report(len(found), f"correlation of languages {found[-1]:.5f}")
    return found
