"""What decoder layers are called with, found out by running a decoder with its layers left out.

A layer's call, besides the hidden states, holds rotary embeddings, masks, positions: what the model's own forward hands
to it. So nothing here knows an architecture. What can be walked layer by layer hands on hidden states and nothing else,
and calls layers with what does not depend on the tokens; anything else is refused by name.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from polyprune.errors import UserError

_ODD = (ValueError, TypeError, AttributeError, IndexError, KeyError, RuntimeError, AssertionError)
"""What a forward pass may raise that is handed what it does not expect."""
LayerCall = dict[str, Any]
"""Keyword arguments of a decoder layer, besides the hidden states."""


@dataclass(frozen=True)
class PerSequence:
    """A tensor of a call for one sequence, which has `dim` as long as a batch has sequences, or a multiple of it."""

    tensor: Tensor
    dim: int

    def of_batch(self, n_sequences: int) -> Tensor:
        """As the model hands it to a batch of sequences of the same length."""
        repeats = [n_sequences if dim == self.dim else 1 for dim in range(self.tensor.dim())]
        if self.tensor.shape[self.dim] > 1:
            return self.tensor.repeat(repeats)
        return self.tensor.expand([-1 if each == 1 else each for each in repeats])


@dataclass
class Recorded:
    """What layers were handed: hidden states (n_sequences, length, d_model) and calls, one a layer."""

    hidden: list[Tensor] = field(default_factory=list)
    calls: list[LayerCall] = field(default_factory=list)


def through(layer: nn.Module, hidden: Tensor, call: LayerCall) -> Tensor:
    """Output of a layer for a batch of hidden states (n_sequences, length, d_model)."""
    output = layer(hidden, **{name: _of_batch(value, len(hidden)) for name, value in call.items()})
    return output[0] if isinstance(output, (tuple, list)) else output


def _of_batch(value: Any, n_sequences: int) -> Any:
    if isinstance(value, PerSequence):
        return value.of_batch(n_sequences)
    if isinstance(value, dict):
        return {name: _of_batch(item, n_sequences) for name, item in value.items()}
    return tuple(_of_batch(item, n_sequences) for item in value) if isinstance(value, tuple) else value


class _More:
    """Stands for what a layer returns besides hidden states."""


@contextmanager
def layers_bypassed(layers: nn.ModuleList, width: int, outputs: Sequence[Tensor] | None = None) -> Iterator[Recorded]:
    """Within: layers hand on what they get, or `outputs`, one a layer; what they are called with is recorded.

    They return tuples of `width` items, hidden states first; of width 0 the hidden states themselves.
    """
    recorded = Recorded()

    def bypass(index: int, layer: nn.Module) -> Any:
        names = [
            name
            for name, parameter in inspect.signature(type(layer).forward).parameters.items()
            if parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        ][1:]

        def forward(*args: Any, **kwargs: Any) -> Any:
            call = dict(zip(names, args, strict=False)) | kwargs
            hidden = call.pop(names[0])
            recorded.hidden.append(hidden)
            recorded.calls.append(call)
            output = hidden if outputs is None else outputs[index]
            return (output, *(_More() for _ in range(width - 1))) if width else output

        return forward

    try:
        for index, layer in enumerate(layers):
            layer.forward = bypass(index, layer)
        yield recorded
    finally:
        for layer in layers:
            del layer.forward


def for_any_batch(one: LayerCall, two: LayerCall, architecture: str) -> LayerCall:
    """The call of a layer for any number of sequences of one length, from those of one and of two sequences.

    Raises:
        UserError: something in it depends on the tokens.
    """

    def merge(name: str, first: Any, second: Any) -> Any:
        if isinstance(first, Tensor) and isinstance(second, Tensor):
            if first.shape == second.shape and torch.equal(first, second):
                return first
            longer = [dim for dim in range(first.dim()) if first.shape[dim] != second.shape[dim]]
            if len(longer) == 1:
                found = PerSequence(first, longer[0])
                expected = found.of_batch(2)
                if expected.shape == second.shape and torch.equal(expected, second):
                    return found
        elif isinstance(first, tuple) and isinstance(second, tuple) and len(first) == len(second):
            return tuple(merge(name, *pair) for pair in zip(first, second, strict=True))
        elif isinstance(first, dict) and isinstance(second, dict) and first.keys() == second.keys():
            return {key: merge(name, first[key], second[key]) for key in first}
        elif same(first, second):
            return first
        raise UserError(
            f"{architecture} cannot be walked: it calls its layers with {name}, which depends on the tokens of a batch"
        )

    return {name: merge(name, value, two.get(name)) for name, value in one.items()}


def same(first: Any, second: Any) -> bool:
    """Whether two values of calls are equal."""
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return first.shape == second.shape and torch.equal(first, second)
    if isinstance(first, (tuple, list)) and isinstance(second, (tuple, list)):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same(first[name], second[name]) for name in first)
    return first is second or (type(first) is type(second) and bool(first == second))


def width_returned(base: nn.Module, layers: nn.ModuleList) -> int:
    """How many items the tuples have that a decoder expects of its layers; 0: it expects hidden states themselves."""
    tokens = torch.tensor([[2, 3, 4, 5, 6, 7]], device=next(base.parameters()).device)
    with layers_bypassed(layers, 0) as recorded, contextlib.suppress(*_ODD):
        base(input_ids=tokens, use_cache=False)
    if not recorded.hidden:
        return 0
    outputs = [torch.ones_like(recorded.hidden[0]) for _ in layers]
    for width in (0, 1, 2, 3):
        with layers_bypassed(layers, width, outputs) as recorded, contextlib.suppress(*_ODD):
            base(input_ids=tokens, use_cache=False)
            if all(map(same, recorded.hidden[1:], outputs)):
                return width
    return 0


def what_follows(
    base: nn.Module, layers: nn.ModuleList, width: int, architecture: str
) -> tuple[list[nn.Module], list[nn.Module]]:
    """The modules that a decoder sends the last layer's output through, in order: mostly its final norm.

    Apart come those from the first on that makes states of another width, as OPT-350m's projection before the head.

    Raises:
        UserError: it does more than that, or hands layers more than hidden states and what every batch gets.
    """
    tokens = torch.tensor([[2, 3, 4, 5, 6, 7], [7, 6, 5, 4, 3, 2]], device=next(base.parameters()).device)
    with layers_bypassed(layers, width) as plain:
        base(input_ids=tokens, use_cache=False)
    if len(plain.hidden) != len(layers):
        raise UserError(
            f"{architecture} cannot be walked: of its {len(layers)} layers {len(plain.hidden)} were called, one by one"
        )
    first = plain.hidden[0]
    if first.dim() != 3:
        raise UserError(f"{architecture} cannot be walked: its layers hand on {first.dim() - 2} states of each token")
    generator = torch.Generator().manual_seed(0)

    def outputs() -> list[Tensor]:
        return [torch.randn(first.shape, generator=generator).to(first) for _ in layers]

    ours, others = outputs(), outputs()
    with layers_bypassed(layers, width, others) as again:
        base(input_ids=tokens, use_cache=False)
    passed: list[tuple[nn.Module, Tensor, Any]] = []
    inside = {id(module) for layer in layers for module in layer.modules()}
    outside = [module for module in base.modules() if id(module) not in inside and module is not base]
    hooks = [
        module.register_forward_hook(
            lambda module, args, output: passed.append((module, args[0], output)) if args else None
        )
        for module in outside
    ]
    try:
        with layers_bypassed(layers, width, ours) as recorded:
            end = base(input_ids=tokens, use_cache=False)[0]
    finally:
        for hook in hooks:
            hook.remove()
    for index, (hidden, before) in enumerate(zip(recorded.hidden[1:], ours, strict=False), start=1):
        if not torch.equal(hidden, before):
            raise UserError(f"{architecture} cannot be walked: it changes hidden states before layer {index}")
    for mine, theirs in zip(recorded.calls, again.calls, strict=True):
        for name in mine:
            if not same(mine[name], theirs[name]):
                raise UserError(
                    f"{architecture} cannot be walked: it calls its layers with {name}, which comes from layers before"
                )
    return _chain(ours[-1], end, passed, architecture)


def _chain(
    start: Tensor, end: Tensor, passed: Sequence[tuple[nn.Module, Tensor, Any]], architecture: str
) -> tuple[list[nn.Module], list[nn.Module]]:
    kept: list[nn.Module] = []
    projected: list[nn.Module] = []
    state = start
    for module, given, output in passed:
        if given is state and isinstance(output, Tensor):
            (projected if projected or output.shape != start.shape else kept).append(module)
            state = output
    if state is not end and not torch.equal(state, end):
        raise UserError(
            f"{architecture} cannot be walked: what it makes of its last layer's output is more than a norm"
        )
    return kept, projected
