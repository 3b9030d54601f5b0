"""Statistics of the inputs of a layer's linear layers: one per distinct input, from one pass over the sequences.

Llama's q, k and v read the same tensor, so do gate and up, and in Cohere all five. The hooks see which linear layers
are handed the identical tensor object in the first batch; from then on only the first of each group collects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from polyprune.model.decoder import LayerCall


class Accumulator(Protocol):
    """A statistic over tokens."""

    def update(self, x: Tensor) -> None: ...


A = TypeVar("A", bound=Accumulator)


@dataclass
class _Inputs:
    """Which linear layers share an input, learnt from the first batch."""

    groups: list[list[str]] = field(default_factory=list)
    tensors: list[Tensor] = field(default_factory=list)

    def add(self, name: str, x: Tensor) -> bool:
        """Note that `name` reads `x`; whether it is the first to do so."""
        for group, tensor in zip(self.groups, self.tensors, strict=True):
            if tensor is x:
                group.append(name)
                return False
        self.groups.append([name])
        self.tensors.append(x)
        return True


@torch.inference_mode()
def collect(
    layer: nn.Module,
    linears: Mapping[str, nn.Linear],
    hidden: Tensor,
    call: LayerCall,
    batch: int,
    create: Callable[[int, torch.device], A],
) -> list[tuple[list[str], A]]:
    """Groups of linear layers that share an input, and the statistic of that input over all of `hidden`.

    `hidden` is (n_sequences, sequence_length, d_model); `create(d_in, device)` makes an empty accumulator.
    """
    inputs = _Inputs()
    statistics: dict[str, A] = {}
    learning = True

    def observe(name: str, module: nn.Linear, x: Tensor) -> None:
        if learning and inputs.add(name, x):
            statistics[name] = create(module.in_features, x.device)
        if name in statistics:
            statistics[name].update(x.reshape(-1, module.in_features))

    def hook_for(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda _, arguments: observe(name, linears[name], arguments[0])

    hooks = [module.register_forward_pre_hook(hook_for(name)) for name, module in linears.items()]
    try:
        for start in range(0, len(hidden), batch):
            layer(hidden[start : start + batch], **call)
            learning, inputs.tensors = False, []
    finally:
        for hook in hooks:
            hook.remove()
    return [(group, statistics[group[0]]) for group in inputs.groups]
