"""RIA: like Wanda, with each weight taken relative to its row and column."""

from collections.abc import Sequence

from torch import Tensor

from polyprune.artifacts.weights import CellWeight, SparseWeight
from polyprune.maths.ria import ria_keep
from polyprune.maths.statistics import InputSquares
from polyprune.methods.job import Job

statistic = InputSquares


def compress(job: Job, weights: Sequence[Tensor], squares: InputSquares, _where: str) -> list[CellWeight]:
    settings = job.settings["ria"]
    return [
        SparseWeight(ria_keep(weight, squares.total, job.scheme, settings["exponent"], settings["per_row"]), None)
        for weight in weights
    ]
