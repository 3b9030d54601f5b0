"""GPTQ: put weights on a grid column by column, and let the later ones of the row make up for the rounding."""

from collections.abc import Sequence

from torch import Tensor

from polyprune.artifacts.weights import CellWeight, QuantisedWeight
from polyprune.maths.gptq import gptq
from polyprune.maths.statistics import InputGram
from polyprune.methods.job import Job

statistic = InputGram


def compress(job: Job, weights: Sequence[Tensor], gram: InputGram, where: str) -> list[CellWeight]:
    settings = job.settings["gptq"]
    grid = job.grid(**{name: settings[name] for name in ("symmetric", "act_order", "static_groups")})
    quantised = gptq(weights, gram.total, settings["damping"], grid, where)
    return [QuantisedWeight(matrix, grid.bits, grid.group_size) for matrix in quantised]
