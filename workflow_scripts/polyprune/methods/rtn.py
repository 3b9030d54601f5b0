"""Rounding to nearest, the floor of quantisation: the calibration text plays no part."""

from collections.abc import Sequence

from torch import Tensor

from polyprune.artifacts.weights import CellWeight, QuantisedWeight
from polyprune.maths.grids import round_to_nearest
from polyprune.methods.job import Job

statistic = None


def compress(job: Job, weights: Sequence[Tensor], _statistic: None, _where: str) -> list[CellWeight]:
    grid = job.grid(symmetric=False)
    return [QuantisedWeight(round_to_nearest(weight, grid), grid.bits, grid.group_size) for weight in weights]
