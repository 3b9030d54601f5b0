"""What every method is handed, and the shape of its module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from polyprune.artifacts.cells import SparseWeight
from polyprune.grammar import Scheme


@dataclass(frozen=True)
class Job:
    """What to do with every matrix. `settings` holds what the method reads of `compression` in config.yaml."""

    scheme: Scheme
    settings: dict[str, Any]
    n_sequences: int


class Method(Protocol):
    """A module of `polyprune.methods`.

    `statistic(d_in, device)` makes an empty accumulator of layer inputs; None if the method looks at weights only.
    `compress` returns what is kept of each of the matrices that share an input; raises `ValueError` if it cannot.
    """

    statistic: Callable[[int, torch.device], Any] | None

    @staticmethod
    def compress(job: Job, weights: Sequence[Tensor], statistic: Any, where: str) -> list[SparseWeight]: ...
