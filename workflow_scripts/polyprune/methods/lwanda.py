"""Language-aware Wanda: inputs that the calibration languages use differently count for more."""

from collections.abc import Sequence

from torch import Tensor

from polyprune.artifacts.weights import CellWeight, SparseWeight
from polyprune.maths.lwanda import lwanda_keep
from polyprune.maths.statistics import InputSquaresByLanguage
from polyprune.methods.job import Job

statistic = InputSquaresByLanguage


def compress(job: Job, weights: Sequence[Tensor], squares: InputSquaresByLanguage, _where: str) -> list[CellWeight]:
    inputs = (squares.total, squares.n_tokens, squares.root_mean_squares, job.settings["lwanda"]["weight"])
    return [SparseWeight(lwanda_keep(weight, *inputs, job.scheme), None) for weight in weights]
