"""See and change the products of experts inside the forward pass of a layer, as torch is asked for them.

Experts are one stack of weights; their forward takes one expert's matrix out of it and multiplies. `Watch` looks at
every product that torch is asked for, and knows by the address of its weights whose it is. So experts are seen in the
code of transformers as it is, whatever the family makes of their inputs and outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from polyprune.errors import UserError
from polyprune.model.products import Product

See = Callable[[Product, int | None, Tensor], None]
"""Told the inputs (n_tokens, d_in) of an expert of a stack, or of a linear layer whose weights are used without it."""
Change = Callable[[Product, Tensor, Callable[[], Tensor]], Tensor]
"""Given a stack, an input and what computes the product, says what the product shall be."""
Known = dict[str, list[tuple[Tensor, Tensor]]]
"""Inputs and outputs of linear layers, by the names of their products."""
_PRODUCTS = {
    torch.nn.functional.linear,
    torch.matmul,
    torch.Tensor.matmul,
    torch.Tensor.__matmul__,
    torch.bmm,
    torch.Tensor.bmm,
}


def no_change(_: Product, __: Tensor, product: Callable[[], Tensor]) -> Tensor:
    """The product as it is."""
    return product()


class Watch(TorchFunctionMode):
    """Within: `see` is told the inputs of every expert, and `change` decides on each product."""

    def __init__(self, products: Sequence[Product], see: See, change: Change = no_change) -> None:
        super().__init__()
        ranges = [(product, *_addresses(product.weights)) for product in products]
        self._stacks = [each for each in ranges if each[0].n_experts is not None]
        self._linear = [each for each in ranges if each[0].n_experts is None]
        self._see, self._change = see, change
        self.paused = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        def product() -> Any:
            return func(*args, **(kwargs or {}))

        if func not in _PRODUCTS or self.paused or len(args) < 2:
            return product()
        x, weights = args[0], args[1]
        for stack, first, last in self._stacks:
            if first <= weights.data_ptr() < last:
                self._told(stack, first, x, weights)
                return self._change(stack, x, product)
        for linear, first, last in self._linear:
            if first <= x.data_ptr() < last:  # weights times inputs (…, d_in, n_tokens), as recurrences have it
                self._see(linear, None, weights.mT.reshape(-1, linear.d_in))
                return self._change(linear, weights.mT, lambda: product().mT).mT
        return product()

    def _told(self, stack: Product, first: int, x: Tensor, weights: Tensor) -> None:
        if weights.dim() == 3:
            for expert, inputs in enumerate(x):
                self._see(stack, expert, inputs[inputs.any(dim=1)])
            return
        of_one = stack.weights.stride(0) * stack.weights.element_size()
        self._see(stack, (weights.data_ptr() - first) // of_one, x.reshape(-1, stack.d_in))


def _addresses(weights: Tensor) -> tuple[int, int]:
    return weights.data_ptr(), weights.data_ptr() + weights.numel() * weights.element_size()


@contextmanager
def all_tokens_to_all(stacks: Sequence[Product], watch: Watch, where: str) -> Iterator[None]:
    """Within: `watch` sees each expert on all tokens, while the layer's output stays that of the routed ones.

    Raises:
        UserError: these experts are not handed tokens and a choice of experts.
    """
    modules = list(dict.fromkeys(stack.module for stack in stacks))

    def forward_of(module: nn.Module, n_experts: int) -> Callable[..., Any]:
        routed = module.forward

        def forward(*args: Any, **kwargs: Any) -> Any:
            if len(args) + len(kwargs) != 3 or not args:
                raise UserError(
                    f"{where}: {type(module).__name__} is not handed tokens and a choice of experts, so that not all "
                    "tokens can be sent to all of them: set experts to routed"
                )
            tokens = args[0]
            everyone = torch.arange(n_experts, device=tokens.device).expand(len(tokens), -1)
            routed(tokens, everyone, tokens.new_ones(everyone.shape))
            watch.paused = True
            try:
                return routed(*args, **kwargs)
            finally:
                watch.paused = False

        return forward

    try:
        for module in modules:
            size = next(stack.n_experts for stack in stacks if stack.module is module)
            module.forward = forward_of(module, size or 0)
        yield
    finally:
        for module in modules:
            del module.forward


@contextmanager
def removed(hooks: Sequence[Any]) -> Iterator[None]:
    """Remove the hooks at the end."""
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def skipped(product: Product) -> Iterator[None]:
    """Within: the product of a linear layer is zeros that take neither time nor memory."""
    product.module.forward = lambda x: zeros_for(product, x)  # type: ignore[method-assign]
    try:
        yield
    finally:
        del product.module.forward


@contextmanager
def kept(products: Sequence[Product], known: Known) -> Iterator[None]:
    """Within: `known` is given copies of what linear layers are called with and return; a router returns more."""

    def keep(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Any], None]:
        def hook(_: nn.Module, arguments: tuple[Tensor, ...], y: Any) -> None:
            if isinstance(y, Tensor):
                known.setdefault(name, []).append((arguments[0].clone(), y.clone()))

        return hook

    linear = [product for product in products if product.n_experts is None]
    with removed([product.module.register_forward_hook(keep(product.name)) for product in linear]):
        yield


@contextmanager
def repeated(products: Sequence[Product], known: Known) -> Iterator[None]:
    """Within: linear layers that are called with what is `known` of them return the same, without computing it."""

    def forward_of(product: Product) -> Callable[[Tensor], Tensor]:
        compute = product.module.forward

        def forward(x: Tensor) -> Tensor:
            same = (y for before, y in known[product.name] if torch.equal(before, x))
            return y.clone() if (y := next(same, None)) is not None else compute(x)

        return forward

    called = [product for product in products if product.name in known]
    try:
        for product in called:
            product.module.forward = forward_of(product)  # type: ignore[method-assign]
        yield
    finally:
        for product in called:
            del product.module.forward


def zeros_for(product: Product, x: Tensor) -> Tensor:
    """Zeros in place of a product with `x` (…, d_in): one row, seen as many, as some layers view rows as numbers."""
    d_out = product.weights.shape[-1 if product.transposed else -2]
    return x.new_zeros(d_out).expand(*x.shape[:-1], d_out)
