"""What every method is handed, and the shape of its module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Protocol

import torch
from torch import Tensor

from polyprune.artifacts.weights import CellWeight
from polyprune.grammar.schemes import Scheme
from polyprune.maths.grids import GridSettings


@dataclass(frozen=True)
class Job:
    """What to do with every matrix. `settings` holds what the method reads of `compression` in config.yaml.

    `layer_sparsities` is what each layer gets by the scheme; None: all have the same. `true_sequential` says whether
    within a layer each matrix sees the inputs that the compressed ones before it produce, `all_experts` whether each
    expert is compressed from all tokens, not only from those that the router sends to it, `shared_heads` whether
    several query heads of the model share a key and a value head, `routers` whether routers and gates of shared experts
    are compressed too, `languages` which calibration sequences are in each language, for a method that tells them
    apart.
    """

    scheme: Scheme
    settings: dict[str, Any]
    n_sequences: int
    seed: int = 0
    layer_sparsities: tuple[Fraction, ...] | None = None
    true_sequential: bool = False
    all_experts: bool = False
    shared_heads: bool = False
    routers: bool = False
    languages: tuple[slice, ...] = ()

    def for_layer(self, index: int) -> Job:
        """The job with the scheme of one layer."""
        if self.layer_sparsities is None:
            return self
        return replace(self, scheme=replace(self.scheme, sparsity=self.layer_sparsities[index]))

    def grid(self, **choices: bool) -> GridSettings:
        """The scheme's grids, with the method's choices.

        Raises:
            ValueError: the scheme does not quantise.
        """
        if self.scheme.bits is None or self.scheme.group_size is None:
            raise ValueError(f"scheme {self.scheme.text} does not quantise")
        return GridSettings(self.scheme.bits, self.scheme.group_size, **choices)


class Method(Protocol):
    """A module of `polyprune.methods`.

    `statistic(d_in, device)` makes an empty accumulator of layer inputs; None if the method looks at weights only. One
    that has `joined` is made of each language's tokens apart, and joined of these.
    `compress` returns what is kept of each of the matrices that share an input, whose names, joined by `/`, are its
    last argument; raises `ValueError` if it cannot.
    """

    @property
    def statistic(self) -> Callable[[int, torch.device], Any] | None: ...

    @staticmethod
    def compress(job: Job, weights: Sequence[Tensor], statistic: Any, where: str, /) -> list[CellWeight]: ...
