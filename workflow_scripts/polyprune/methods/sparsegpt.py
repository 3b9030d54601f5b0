"""SparseGPT: remove weights block by block, and let the later ones of the row make up for it."""

from collections.abc import Sequence

from torch import Tensor

from polyprune.artifacts.weights import CellWeight, SparseWeight
from polyprune.maths.cholesky import hessian_factor
from polyprune.maths.sparsegpt import sparsegpt
from polyprune.maths.statistics import InputGram
from polyprune.methods.job import Job

statistic = InputGram


def compress(job: Job, weights: Sequence[Tensor], gram: InputGram, where: str) -> list[CellWeight]:
    settings, hessian = job.settings, gram.total.mul_(2 / job.n_sequences)
    # the factor is named nowhere, so its memory is free when the kept values are picked
    pruned = sparsegpt(weights, hessian_factor(hessian, settings["damping"], where), job.scheme, settings["block_size"])
    return [SparseWeight.updated(weight, keep) for weight, keep in pruned]
