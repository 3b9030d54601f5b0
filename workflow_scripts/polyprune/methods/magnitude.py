"""Magnitude pruning: keep the largest weights. The calibration text plays no part."""

from collections.abc import Sequence

from torch import Tensor

from polyprune.artifacts.weights import CellWeight, SparseWeight
from polyprune.maths.magnitude import magnitude_keep
from polyprune.methods.job import Job

statistic = None


def compress(job: Job, weights: Sequence[Tensor], _statistic: None, _where: str) -> list[CellWeight]:
    return [SparseWeight(magnitude_keep(weight, job.scheme), None) for weight in weights]
