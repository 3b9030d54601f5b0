"""Statistics of the inputs of a layer's linear layers: one per distinct input, without products that nobody reads.

Llama's q, k and v read the same tensor, so do gate and up, and in Cohere all five. A few tokens sent through the layer
show which linear layers are handed the identical tensor object, and, when the product of one is spoilt, which later
inputs depend on it. The pass that collects stops when the last input has been seen, and replaces the products that no
wanted input depends on by zeros: down_proj in Llama, o_proj and down_proj in Cohere, a third of the work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from polyprune.errors import UserError
from polyprune.model.decoder import LayerCall

PROBE_TOKENS = 8
"""How many tokens of one sequence show what a layer is like."""


class Accumulator(Protocol):
    """A statistic over tokens."""

    def update(self, x: Tensor) -> None: ...


A = TypeVar("A", bound=Accumulator)
Group = tuple[str, ...]
"""Names of linear layers that share an input."""


@dataclass(frozen=True)
class Anatomy:
    """The groups of a decoder layer in the order of its forward pass, and which of them each product feeds."""

    groups: tuple[Group, ...]
    feeds: Mapping[str, frozenset[Group]]

    def unread(self, wanted: Sequence[Group]) -> list[str]:
        """Linear layers whose products none of the wanted inputs depends on."""
        return [name for name, fed in self.feeds.items() if fed.isdisjoint(wanted)]


@torch.inference_mode()
def anatomy(layer: nn.Module, linears: Mapping[str, nn.Linear], hidden: Tensor, call: LayerCall, where: str) -> Anatomy:
    """Find out by sending `hidden`, a few tokens (1, n_tokens, d_model), through the layer once per linear layer.

    Raises:
        UserError: a linear layer is left out by the forward pass, as experts are that no token is routed to.
    """
    inputs = _inputs(layer, linears, hidden, call)
    if idle := [name for name in linears if name not in inputs]:
        raise UserError(f"{where}: {', '.join(idle)} had no part in the forward pass; such layers cannot be compressed")
    by_input: dict[int, list[str]] = {}
    for name, x in inputs.items():
        by_input.setdefault(id(x), []).append(name)
    groups = tuple(map(tuple, by_input.values()))
    generator = torch.Generator(hidden.device).manual_seed(0)

    def spoil(_: nn.Module, __: Any, product: Tensor) -> Tensor:
        noise = torch.randn(product.shape, generator=generator, device=product.device, dtype=product.dtype)
        return product + (1 + product.abs().amax()) * noise

    feeds: dict[str, frozenset[Group]] = {}
    for name, module in linears.items():
        with _removed([module.register_forward_hook(spoil)]):
            spoilt = _inputs(layer, linears, hidden, call)
        feeds[name] = frozenset(group for group in groups if not torch.equal(spoilt[group[0]], inputs[group[0]]))
    return Anatomy(groups, feeds)


def _inputs(layer: nn.Module, linears: Mapping[str, nn.Linear], hidden: Tensor, call: LayerCall) -> dict[str, Tensor]:
    """What each linear layer is handed, in the order of the forward pass."""
    seen: dict[str, Tensor] = {}

    def note(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            seen.setdefault(name, arguments[0])

        return hook

    with _removed([module.register_forward_pre_hook(note(name)) for name, module in linears.items()]):
        layer(hidden, **call)
    return seen


@contextmanager
def _removed(hooks: Sequence[Any]) -> Iterator[None]:
    """Remove the hooks at the end."""
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


class _AllSeen(Exception):  # noqa: N818
    """Signal: the last wanted input has been seen, the rest of the layer does not matter."""


@torch.inference_mode()
def collect(
    layer: nn.Module,
    linears: Mapping[str, nn.Linear],
    found: Anatomy,
    wanted: Sequence[Group],
    batches: Iterator[Tensor],
    call: LayerCall,
    create: Callable[[int, torch.device], A],
) -> list[A]:
    """The statistics of the inputs of the `wanted` groups over all `batches` of hidden states.

    A batch is (n_sequences, sequence_length, d_model); `create(d_in, device)` makes an empty accumulator.
    """
    statistics: dict[Group, A] = {}
    missing: set[Group] = set()

    def observe(group: Group) -> Callable[[nn.Linear, tuple[Tensor, ...]], None]:
        def hook(module: nn.Linear, arguments: tuple[Tensor, ...]) -> None:
            x = arguments[0]
            if group not in statistics:
                statistics[group] = create(module.in_features, x.device)
            statistics[group].update(x.reshape(-1, module.in_features))
            missing.discard(group)
            if not missing:
                raise _AllSeen

        return hook

    with ExitStack() as stack:
        hooks = [linears[group[0]].register_forward_pre_hook(observe(group)) for group in wanted]
        stack.enter_context(_removed(hooks))
        for name in found.unread(wanted):
            stack.enter_context(_skipped(linears[name]))
        for batch in batches:
            missing.update(wanted)
            try:
                layer(batch, **call)
            except _AllSeen:
                continue
    return [statistics[group] for group in wanted]


@contextmanager
def _skipped(linear: nn.Linear) -> Iterator[None]:
    """Within: the product is zeros that take neither time nor memory."""
    linear.forward = lambda x: x.new_zeros(()).expand(*x.shape[:-1], linear.out_features)  # type: ignore[method-assign]
    try:
        yield
    finally:
        del linear.forward
