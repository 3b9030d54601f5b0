"""Random pruning: the floor that every method has to beat. Each matrix draws from the cell's seed and its own name."""

from collections.abc import Sequence

import torch
from torch import Tensor

from polyprune.artifacts.weights import CellWeight, SparseWeight
from polyprune.maths.random_pruning import random_keep
from polyprune.methods.job import Job
from polyprune.provenance import digest

statistic = None


def compress(job: Job, weights: Sequence[Tensor], _statistic: None, where: str) -> list[CellWeight]:
    seed = int(digest(str(job.seed), where), 16) >> 1  # torch takes 63 bits
    generator = torch.Generator().manual_seed(seed)
    return [SparseWeight(random_keep(weight, job.scheme, generator), None) for weight in weights]
