"""Wanda: keep, in every row, the weights whose magnitude times input norm is largest."""

from collections.abc import Sequence

from torch import Tensor

from polyprune.artifacts.weights import CellWeight, SparseWeight
from polyprune.maths.statistics import InputSquares
from polyprune.maths.wanda import wanda_keep
from polyprune.methods.job import Job

statistic = InputSquares


def compress(job: Job, weights: Sequence[Tensor], squares: InputSquares, _where: str) -> list[CellWeight]:
    return [SparseWeight(wanda_keep(weight, squares.total, job.scheme), None) for weight in weights]
