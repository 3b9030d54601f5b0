"""GPTQ: put weights on a grid column by column, and let the later ones of the row make up for the rounding."""

from collections.abc import Sequence

from torch import Tensor

from polyprune.artifacts.weights import CellWeight, QuantisedWeight
from polyprune.maths.gptq import gptq
from polyprune.maths.grids import GridSettings
from polyprune.maths.statistics import InputGram
from polyprune.methods.job import Job

statistic = InputGram


def compress(job: Job, weights: Sequence[Tensor], gram: InputGram, where: str) -> list[CellWeight]:
    bits, group_size = job.scheme.bits, job.scheme.group_size
    if bits is None or group_size is None:
        raise ValueError(f"scheme {job.scheme.text} does not quantise")
    settings = job.settings["gptq"]
    choices = {name: settings[name] for name in ("symmetric", "act_order", "static_groups")}
    grid = GridSettings(bits, group_size, **choices)
    quantised = gptq(weights, gram.total, settings["damping"], grid, where)
    return [QuantisedWeight(matrix, bits, group_size) for matrix in quantised]
