"""AWQ: scale the input channels that carry much before weights are put on a grid, and clip what is too large for it."""

from collections.abc import Sequence

from torch import Tensor

from polyprune.artifacts.weights import CellWeight, QuantisedWeight
from polyprune.maths.awq import awq
from polyprune.maths.statistics import InputGramAndSizes
from polyprune.methods.job import Job

statistic = InputGramAndSizes
NOT_CLIPPED = ("q_", "k_", "query", "key", "Wqkv")
"""In names of matrices, as in AutoAWQ: outputs of these are multiplied with each other."""
BEHIND_HEADS = "o_proj"
"""Its scales go into v_proj, if each query head has a value head of its own."""


def compress(job: Job, weights: Sequence[Tensor], inputs: InputGramAndSizes, where: str) -> list[CellWeight]:
    settings, grid = job.settings["awq"], job.grid(symmetric=False)
    names = [name.split(".")[-1] for name in where.split("/")]
    clipped = [settings["clip"] and not any(part in name for part in NOT_CLIPPED) for name in names]
    scaled = not (settings["foldable"] and job.shared_heads and names == [BEHIND_HEADS])
    quantised = awq(weights, inputs.total, inputs.sizes, grid, settings["duo_scaling"], clipped, where, scaled)
    return [QuantisedWeight(matrix, grid.bits, grid.group_size) for matrix in quantised]
