"""ALPS: one least squares problem a matrix, for sparsities at which the others break down."""

from collections.abc import Sequence

from torch import Tensor

from polyprune.artifacts.weights import CellWeight, SparseWeight
from polyprune.maths.alps import alps
from polyprune.maths.statistics import InputGram
from polyprune.methods.job import Job

statistic = InputGram


def compress(job: Job, weights: Sequence[Tensor], gram: InputGram, where: str) -> list[CellWeight]:
    damping, total = job.settings["damping"], gram.total
    pruned = [alps(weight, total, damping, job.scheme, where, **job.settings["alps"]) for weight in weights]
    return [SparseWeight.updated(weight, keep) for weight, keep in pruned]
