"""DSnoT: Wanda's mask, then pairs of weights swapped within a row until its mean output is close to the dense one.

All matrices are refined; the authors' code leaves those of the MLP as they are unless told otherwise.
"""

from collections.abc import Sequence

from torch import Tensor

from polyprune.artifacts.weights import CellWeight, SparseWeight
from polyprune.maths.dsnot import dsnot_keep
from polyprune.maths.statistics import InputMoments
from polyprune.maths.wanda import wanda_keep
from polyprune.methods.job import Job

statistic = InputMoments


def compress(job: Job, weights: Sequence[Tensor], moments: InputMoments, _where: str) -> list[CellWeight]:
    sums = moments.sums / job.n_sequences

    def refined(weight: Tensor) -> Tensor:
        keep = wanda_keep(weight, moments.total, job.scheme)
        return dsnot_keep(weight, keep, sums, moments.variance, moments.total, **job.settings["dsnot"])

    return [SparseWeight(refined(weight), None) for weight in weights]
