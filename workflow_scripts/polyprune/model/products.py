"""The matrices of a decoder layer: which products with weights it has, and the name of each matrix in the files.

What is compressed are linear layers (`nn.Linear`, GPT-2's `Conv1D`, Falcon's) and stacks of experts. A router, and the
gate of a shared expert, stay dense unless asked for: they are among `gates_of`. Each matrix is (d_out, d_in), whatever
it is in memory:

    product                     matrices, by the names of tensors in the files
    self_attn.q_proj            model.layers.0.self_attn.q_proj
    mlp.experts.gate_up_proj    model.layers.0.mlp.experts.0.gate_proj, ….0.up_proj, ….1.gate_proj, …
    mlp.experts.gate_up_proj    model.layers.0.mlp.experts.gate_up_proj.0, ….1, …: where the files have a stack, as
                                gpt-oss, Llama 4 and Granite do
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from transformers.models.falcon.modeling_falcon import FalconLinear
from transformers.pytorch_utils import Conv1D

from polyprune.errors import UserError
from polyprune.model.gates import is_gate
from polyprune.model.layout import Layout

_LINEAR = (nn.Linear, FalconLinear, Conv1D)
_WEIGHT = ".weight"
_NARROW = 16
"""Decays, convolutions and tables of recurrent layers have no more columns than this; they are not compressed."""


@dataclass(frozen=True)
class Matrix:
    """One matrix: `name` in the cell, `tensor` of the files that holds it, and where.

    `expert` is its place in the stack in memory, `rows` of the product's output it makes. In the files it is the
    `index`-th of a stack, or all of the tensor, and (d_in, d_out) if `transposed`.
    """

    name: str
    tensor: str
    rows: slice
    expert: int | None = None
    index: int | None = None
    transposed: bool = False

    @property
    def place(self) -> dict[str, Any] | None:
        """For the header of a cell; None where the matrix is the tensor `{name}.weight`."""
        if self.tensor == self.name + _WEIGHT and self.index is None and not self.transposed:
            return None
        return {"tensor": self.tensor, "index": self.index, "transposed": self.transposed}


@dataclass(frozen=True, eq=False)
class Product:
    """A linear layer or a stack of experts of a decoder layer: `attribute` of `module` holds its weights.

    `n_experts` is None for a linear layer. In memory weights are (d_in, d_out) if `transposed`.
    """

    name: str
    module: nn.Module
    attribute: str
    transposed: bool
    n_experts: int | None
    matrices: tuple[Matrix, ...]

    @property
    def weights(self) -> Tensor:
        """The parameter as it is in memory."""
        return getattr(self.module, self.attribute)

    @property
    def d_in(self) -> int:
        return self.weights.shape[-2 if self.transposed else -1]

    def view(self, matrix: Matrix) -> Tensor:
        """A matrix (d_out, d_in), in the memory of the weights."""
        found = self.weights.data if matrix.expert is None else self.weights.data[matrix.expert]
        return (found.T if self.transposed else found)[matrix.rows]

    def put(self, matrix: Matrix, weight: Tensor) -> None:
        """Give one matrix (d_out, d_in) other weights; of a stack in the memory that it has."""
        if matrix.expert is not None:
            self.view(matrix).copy_(weight)
        else:
            self.weights.data = weight.T.contiguous() if self.transposed else weight

    def renew(self) -> nn.Parameter:
        """Put a new parameter in place, of which a stack has its own memory; the one that was there."""
        before = getattr(self.module, self.attribute)
        now = before.data if self.n_experts is None else before.data.clone()
        setattr(self.module, self.attribute, nn.Parameter(now, requires_grad=False))
        return before

    def of_expert(self, expert: int | None) -> list[Matrix]:
        """The matrices of one expert, which read the same input; of a linear layer its one."""
        return [matrix for matrix in self.matrices if matrix.expert == expert]


@dataclass(frozen=True)
class Beside:
    """A parameter of a decoder layer that is no product's: a norm, a bias, a router; `tensor` of the files holds it."""

    tensor: str
    module: nn.Module
    attribute: str

    @property
    def value(self) -> nn.Parameter:
        return getattr(self.module, self.attribute)

    def put(self, value: Tensor) -> nn.Parameter:
        """Put a new parameter in place, in dtype and on device of the one that was there, which is returned."""
        before = self.value
        setattr(self.module, self.attribute, nn.Parameter(value.to(before.data), requires_grad=False))
        return before


def beside_products(layer: nn.Module, prefix: str, layout: Layout, products: Sequence[Product]) -> list[Beside]:
    """The other parameters of a decoder layer that are a tensor of the files each."""
    taken = {(id(product.module), product.attribute) for product in products}
    found: list[Beside] = []
    for name, module in layer.named_modules():
        for attribute, _ in module.named_parameters(recurse=False):
            source = layout.sources.get(".".join(filter(None, (f"{prefix}{name}".rstrip("."), attribute))))
            if (id(module), attribute) not in taken and source is not None and source.plain is not None:
                found.append(Beside(source.plain, module, attribute))
    return found


def products_of(layer: nn.Module, prefix: str, layout: Layout) -> list[Product]:
    """The products of a decoder layer in order of definition; `prefix` (`model.layers.0.`) is where it lies.

    Raises:
        UserError: a matrix cannot be found in the files, or weights are of a kind that nothing here compresses.
    """
    found = list(_found(layer, prefix, layout))
    _refuse_uncovered(layer, prefix, found)
    return found


def _found(layer: nn.Module, prefix: str, layout: Layout) -> Iterator[Product]:
    modules = dict(layer.named_modules())
    for name, module in modules.items():
        if type(module) in _LINEAR:
            if not is_gate(name):
                yield _linear(name, module, prefix, layout)
        elif is_experts(module):
            for attribute, weights in module.named_parameters(recurse=False):
                if weights.dim() == 3:
                    yield _stack(f"{name}.{attribute}", module, attribute, prefix, layout)


def gates_of(layer: nn.Module, prefix: str, layout: Layout) -> list[Product]:
    """Routers, and gates of shared experts, as if they were linear layers; raises `UserError` like `products_of`."""
    return [
        _linear(name, module, prefix, layout)
        for name, module in layer.named_modules()
        if is_gate(name) and isinstance(weight := getattr(module, "weight", None), nn.Parameter) and weight.dim() == 2
    ]


def expert_stacks(layer: nn.Module) -> list[Product]:
    """The stacks of experts of a layer, without the names that their matrices have in files."""
    return [
        Product(f"{name}.{attribute}", module, attribute, is_transposed(module), len(weights), ())
        for name, module in layer.named_modules()
        if is_experts(module)
        for attribute, weights in module.named_parameters(recurse=False)
        if weights.dim() == 3
    ]


def is_experts(module: nn.Module) -> bool:
    """Whether a module holds experts as stacks: transformers calls all of these so."""
    return type(module).__name__.endswith("Experts")


def _linear(name: str, module: nn.Module, prefix: str, layout: Layout) -> Product:
    full, transposed = f"{prefix}{name}{_WEIGHT}", type(module) is Conv1D
    source = layout.sources.get(full)
    if source is not None and source.plain is None:
        raise UserError(f"{full} is made of several tensors of the files: it cannot be compressed")
    tensor = (source and source.plain) or full
    matrix = Matrix(tensor.removesuffix(_WEIGHT), tensor, slice(None), transposed=transposed)
    return Product(name, module, "weight", transposed, None, (matrix,))


def _stack(name: str, module: nn.Module, attribute: str, prefix: str, layout: Layout) -> Product:
    weights, full = getattr(module, attribute), prefix + name
    transposed = is_transposed(module)
    n_experts = len(weights)
    source = layout.sources.get(full)
    matrices: list[Matrix] = []
    if source is None or source.plain or source.turned:
        tensor = (source and (source.plain or source.turned)) or full
        short = tensor.removesuffix(_WEIGHT)
        turned = transposed != bool(source and source.turned)
        for expert in range(n_experts):
            place = {"expert": expert, "index": expert, "transposed": turned}
            matrices.append(Matrix(f"{short}.{expert}", tensor, slice(None), **place))
    else:
        d_out = weights.shape[-1 if transposed else -2]
        for expert, tensors in enumerate(source.stacked(full)):
            height = d_out // len(tensors)
            for part, tensor in enumerate(tensors):
                rows = slice(part * height, (part + 1) * height)
                matrices.append(Matrix(tensor.removesuffix(_WEIGHT), tensor, rows, expert))
    return Product(name, module, attribute, transposed, n_experts, tuple(matrices))


def is_transposed(module: nn.Module) -> bool:
    """Whether experts hold (n_experts, d_in, d_out): transformers says so, or the shapes of both of their stacks do."""
    said = getattr(module, "is_transposed", None)
    if said is not None:
        return bool(said)
    down, gate_up = getattr(module, "down_proj", None), getattr(module, "gate_up_proj", None)
    return down is not None and gate_up is not None and down.shape[2] == gate_up.shape[1]


def _refuse_uncovered(layer: nn.Module, prefix: str, found: Sequence[Product]) -> None:
    """Raises `UserError` for weights as large as a matrix of the layer that are neither a product nor a gate."""
    if not found:
        raise UserError(f"{prefix[:-1]} has no linear layers to compress")
    covered = {id(product.weights) for product in found}
    smallest = min(product.weights.numel() // (product.n_experts or 1) for product in found)
    for name, parameter in layer.named_parameters():
        matrix_like = parameter.dim() > 1 and min(parameter.shape[-2:]) > _NARROW
        if id(parameter) in covered or not matrix_like or is_gate(name.rpartition(".")[0]):
            continue
        if parameter.numel() >= smallest:
            owner = type(layer.get_submodule(name.rpartition(".")[0])).__name__
            raise UserError(f"{prefix}{name}, of a {owner}, is neither a linear layer nor a stack of experts")
