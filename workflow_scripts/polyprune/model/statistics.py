"""Statistics of the inputs of a layer's matrices: one per distinct input, without products that nobody reads.

Llama's q, k and v read the same tensor, so do gate and up, and in Cohere all five. A few tokens sent through the layer
show which linear layers are handed the identical tensor object, and, when the product of one is spoilt, which later
inputs depend on it. The pass that collects stops when the last input has been seen, and replaces the products that no
wanted input depends on by zeros: down_proj in Llama, o_proj and down_proj in Cohere, a third of the work.

Experts have a statistic each: of the tokens that the router sends to them or, if asked, of all. An expert that saw none
is compressed as if all its inputs were equally large and not correlated, since nothing says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from polyprune.errors import UserError
from polyprune.model.calls import LayerCall, through
from polyprune.model.gates import is_gate
from polyprune.model.products import Matrix, Product
from polyprune.model.watching import Known, Watch, all_tokens_to_all, kept, removed, repeated, skipped, zeros_for

PROBE_TOKENS = 8
"""How many tokens of one sequence show what a layer is like."""


class Accumulator(Protocol):
    """A statistic over tokens."""

    n_tokens: int

    def update(self, x: Tensor) -> None: ...


Create = Callable[[int, torch.device], Any]
"""Makes an empty `Accumulator` of inputs of a width, on a device."""
Group = tuple[str, ...]
"""Names of linear layers that share an input; or of a stack of experts alone."""


@dataclass(frozen=True)
class Anatomy:
    """The groups of a decoder layer in the order of its forward pass, and which of them each product feeds.

    `bare` are linear layers whose weights the forward takes and multiplies itself, as recurrences do.
    """

    groups: tuple[Group, ...]
    feeds: Mapping[str, frozenset[Group]]
    bare: frozenset[str] = frozenset()

    def unread(self, wanted: Sequence[Group]) -> list[str]:
        """Products that none of the wanted inputs depends on."""
        return [name for name, fed in self.feeds.items() if fed.isdisjoint(wanted)]


@dataclass(frozen=True)
class Reading:
    """The statistic of one input, and the matrices that read it; `n_tokens` of it, for experts alone."""

    matrices: tuple[tuple[Product, Matrix], ...]
    statistic: Any
    n_tokens: int | None = None


class _AllSeen(Exception):  # noqa: N818
    """Signal: the last wanted input has been seen, the rest of the layer does not matter."""


@torch.inference_mode()
def anatomy(layer: nn.Module, products: Sequence[Product], hidden: Tensor, call: LayerCall, where: str) -> Anatomy:
    """Find out by sending `hidden`, a few tokens (1, n_tokens, d_model), through the layer once per product.

    What changes nothing among a few tokens may do so among many, as what chooses to which keys attention is paid: it
    counts as feeding all.

    Raises:
        UserError: a linear layer is left out by the forward pass.
    """
    bare: set[str] = set()
    known: Known = {}
    with kept(products, known):
        inputs, output = _inputs(layer, products, hidden, call, bare=bare)
    if idle := [product.name for product in products if product.n_experts is None and product.name not in inputs]:
        raise UserError(f"{where}: {', '.join(idle)} had no part in the forward pass; such layers cannot be compressed")
    by_input: dict[int, list[str]] = {}
    for name, seen in inputs.items():
        by_input.setdefault(id(seen[0]), []).append(name)
    groups = tuple(map(tuple, by_input.values()))
    feeds: dict[str, frozenset[Group]] = {}
    for product in products:
        if is_gate(product.name):  # it decides which tokens experts see
            feeds[product.name] = frozenset(groups)
            continue
        with repeated(products, known):
            spoilt, _ = _inputs(layer, products, hidden, call, product)
            fed = [group for group in groups if not _equal(spoilt.get(group[0], []), inputs[group[0]])]
            if not fed:
                _, other = _inputs(layer, products, hidden, call, product, to_the_end=True)
                fed = groups if _equal([other], [output]) else fed
        feeds[product.name] = frozenset(fed)
    unseen = tuple((product.name,) for product in products if product.name not in inputs)
    return Anatomy((*groups, *unseen), feeds, frozenset(bare))


def _equal(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> bool:
    return len(ours) == len(theirs) and all(map(torch.equal, ours, theirs))


def _inputs(
    layer: nn.Module,
    products: Sequence[Product],
    hidden: Tensor,
    call: LayerCall,
    spoilt: Product | None = None,
    bare: set[str] | None = None,
    to_the_end: bool = False,
) -> tuple[dict[str, list[Tensor]], Tensor]:
    """What each product is handed, in the order of the forward pass: one tensor, or one an expert that is hit. And what
    the layer makes of it all, nothing if something is spoilt and the pass is not `to_the_end`.

    The product `spoilt` has noise added; names of linear layers that are used without being called go to `bare`.
    """
    seen: dict[str, list[Tensor]] = {}
    generator = torch.Generator(hidden.device).manual_seed(0)

    def noisy(product: Tensor) -> Tensor:
        noise = torch.randn(product.shape, generator=generator, device=product.device, dtype=product.dtype)
        return product + (1 + (product.abs().amax() if product.numel() else 0)) * noise

    def spoil(_: nn.Module, __: tuple[Tensor, ...], product: Tensor) -> Tensor:
        return noisy(product)

    linear = [product for product in products if product.n_experts is None]
    stops = spoilt is not None and len(linear) == len(products) and not to_the_end
    enough = {product.name for product in linear} if stops else set()

    def note(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            seen.setdefault(name, [arguments[0]])
            if seen.keys() == enough:
                raise _AllSeen

        return hook

    hooks = [product.module.register_forward_pre_hook(note(product.name)) for product in linear]
    if spoilt is not None and spoilt.n_experts is None:
        hooks.append(spoilt.module.register_forward_hook(spoil))

    def see(product: Product, expert: int | None, x: Tensor) -> None:
        seen.setdefault(product.name, []).append(x)
        if expert is None and bare is not None:
            bare.add(product.name)

    def change(product: Product, _: Tensor, made: Callable[[], Tensor]) -> Tensor:
        return noisy(made()) if product is spoilt else made()

    watch, output = Watch(products, see, change), hidden.new_empty(0)
    with removed(hooks), watch, suppress(_AllSeen):
        output = through(layer, hidden, call)
    return seen, output


@torch.inference_mode()
def collect(
    layer: nn.Module,
    products: Sequence[Product],
    found: Anatomy,
    wanted: Sequence[Group],
    batches: Iterator[Tensor],
    call: LayerCall,
    create: Create,
    all_experts: bool = False,
) -> list[Reading]:
    """The statistics of the inputs of the `wanted` groups over all `batches` of hidden states, group by group.

    A batch is (n_sequences, sequence_length, d_model). With `all_experts` each expert's are of all tokens, not only of
    those that are sent to it.
    """
    by_name = {product.name: product for product in products}
    statistics: dict[tuple[str, int | None], Any] = {}
    missing: set[Group] = set()
    unread = set(found.unread(wanted))

    def add(product: Product, expert: int | None, x: Tensor) -> None:
        if x.numel() == 0:
            return
        key = (product.name, expert)
        if key not in statistics:
            statistics[key] = create(product.d_in, x.device)
        statistics[key].update(x.reshape(-1, product.d_in))

    def done(*groups: Group) -> None:
        missing.difference_update(groups)
        if not missing:
            raise _AllSeen

    def observe(group: Group) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            add(by_name[group[0]], None, arguments[0])
            done(group)

        return hook

    def see(product: Product, expert: int | None, x: Tensor) -> None:
        if (product.name,) in wanted:
            add(product, expert, x)
            if expert is None:
                done((product.name,))

    def change(product: Product, x: Tensor, made: Callable[[], Tensor]) -> Tensor:
        return zeros_for(product, x) if product.name in unread else made()

    watched = [product for product in products if product.n_experts is not None or product.name in found.bare]
    called = [product for product in products if product not in watched]
    stacks = [product for product in watched if product.n_experts is not None and (product.name,) in wanted]
    with ExitStack() as stack:
        hooks = [
            by_name[group[0]].module.register_forward_pre_hook(observe(group))
            for group in wanted
            if by_name[group[0]] in called
        ]
        for module in dict.fromkeys(each.module for each in stacks):
            of_module = [(each.name,) for each in stacks if each.module is module]
            hooks.append(module.register_forward_hook(lambda *_, of_module=of_module: done(*of_module)))
        stack.enter_context(removed(hooks))
        for product in called:
            if product.name in unread:
                stack.enter_context(skipped(product))
        if watched:
            watch = stack.enter_context(Watch(watched, see, change))
            if all_experts and stacks:
                stack.enter_context(all_tokens_to_all(stacks, watch, type(layer).__name__))
        for batch in batches:
            missing.update(wanted)
            try:
                through(layer, batch, call)
            except _AllSeen:
                continue
    return [reading for group in wanted for reading in _readings(group, by_name, statistics, create)]


def collect_by_language(
    layer: nn.Module,
    products: Sequence[Product],
    found: Anatomy,
    wanted: Sequence[Group],
    languages: Sequence[Iterator[Tensor]],
    call: LayerCall,
    create: Create,
    all_experts: bool = False,
) -> list[Reading]:
    """The same of each language's batches apart, joined: of experts, those languages of which they saw tokens."""
    parts = [collect(layer, products, found, wanted, batches, call, create, all_experts) for batches in languages]
    return [_joined(readings) for readings in zip(*parts, strict=True)]


def _joined(readings: Sequence[Reading]) -> Reading:
    """One input's readings in several languages as one; an expert without any token has those of no language."""
    seen = [each.statistic for each in readings if each.n_tokens != 0] or [readings[0].statistic]
    n_tokens = None if readings[0].n_tokens is None else sum(each.n_tokens or 0 for each in readings)
    return Reading(readings[0].matrices, type(seen[0]).joined(seen), n_tokens)


def _readings(
    group: Group, by_name: Mapping[str, Product], statistics: Mapping[tuple[str, int | None], Any], create: Create
) -> Iterator[Reading]:
    """The readings of a group: one, or one an expert."""
    first = by_name[group[0]]
    if first.n_experts is None:
        matrices = tuple((by_name[name], by_name[name].matrices[0]) for name in group)
        yield Reading(matrices, statistics[first.name, None])
        return
    for expert in range(first.n_experts):
        matrices = tuple((first, matrix) for matrix in first.of_expert(expert))
        statistic = statistics.get((first.name, expert))
        n_tokens = 0 if statistic is None else statistic.n_tokens
        if statistic is None:
            device = first.weights.device
            statistic = create(first.d_in, device)
            statistic.update(torch.eye(first.d_in, device=device))
        yield Reading(matrices, statistic, n_tokens)
