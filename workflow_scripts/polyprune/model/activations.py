"""Push a model through a text and count what its MLP neurons do, by hooks on the gate's activation and what follows.

A neuron is one of the MLP's hidden units. It is active at a token if act(gate) is above zero, which for SiLU and GELU
is if the gate is. Its output is act(gate) · up, what the down projection reads. Sums over tokens are float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from polyprune.artifacts.activations import MATRICES, ActivationWriter, LayerActivations
from polyprune.artifacts.cells import CellReader
from polyprune.artifacts.tokens import TokenSet
from polyprune.errors import UserError
from polyprune.log import Progress
from polyprune.maths.token_sums import sum_over_tokens
from polyprune.model.compression import apply_cell, propagate
from polyprune.model.decoder import Decoder

HOOKS = "forward hooks on act_fn, the input of down_proj, the outputs of down_proj and o_proj"
N_BLOCKS = 8
"""Parts of the text that are counted apart, for halves that are independent."""


def block_bounds(n_sequences: int) -> list[tuple[int, int]]:
    """First and last-plus-one sequence of each block: as equal as they can be, fewer blocks than sequences at most."""
    edges = [part * n_sequences // N_BLOCKS for part in range(N_BLOCKS + 1)]
    return [(first, last) for first, last in pairwise(edges) if last > first]


class _Counter:
    """Sums of one layer; the hooks add to the block that is set."""

    def __init__(self, layer: nn.Module, n_blocks: int, architecture: str) -> None:
        named: dict[str, list[Any]] = {name: [] for name in ("act_fn", "down_proj", "o_proj")}
        for name, module in layer.named_modules():
            named.get(name.split(".")[-1], []).append(module)
        for name, found in named.items():
            if len(found) != 1:
                raise UserError(
                    f"{architecture}: a layer has {len(found) or 'no'} modules {name}: neurons are counted where it "
                    "has one MLP, with one act_fn and down_proj, behind one attention, with one o_proj"
                )
        self.activation, self.down, self.attention = (found[0] for found in named.values())
        self.n_blocks, self.block = n_blocks, 0
        self.neurons: dict[str, Tensor] = {}
        self.outputs: dict[str, Tensor] = {}

    @contextmanager
    def hooked(self) -> Iterator[None]:
        hooks = [
            self.activation.register_forward_hook(lambda _, __, output: self._count_activation(output)),
            self.down.register_forward_pre_hook(lambda _, inputs: self._add("sum_abs_out", inputs[0].abs())),
            self.down.register_forward_hook(self._output_hook("down_proj")),
            self.attention.register_forward_hook(self._output_hook("o_proj")),
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _output_hook(self, matrix: str) -> Callable[[nn.Module, object, Tensor], None]:
        return lambda _, __, output: self._add_output(matrix, output)

    def _count_activation(self, activation: Tensor) -> None:
        self._add("active", activation > 0)
        self._add("sum_abs_act", activation.abs())

    def _add(self, name: str, per_token: Tensor) -> None:
        """Sum over the tokens of a batch, (n_sequences, sequence_length, F)."""
        summed = sum_over_tokens(per_token).sum(dim=0).to(torch.int64 if name == "active" else torch.float64)
        if name not in self.neurons:
            self.neurons[name] = summed.new_zeros(self.n_blocks, len(summed))
        self.neurons[name][self.block] += summed

    def _add_output(self, matrix: str, output: Tensor) -> None:
        summed = torch.stack([sum_over_tokens(each).sum(dim=0) for each in (output, output.abs())])
        self.outputs[matrix] = self.outputs[matrix] + summed if matrix in self.outputs else summed

    def result(self, where: str) -> LayerActivations:
        sums = [*self.neurons.values(), *self.outputs.values()]
        if not all(bool(torch.isfinite(each).all()) for each in sums if each.is_floating_point()):
            raise UserError(f"activations of {where} overflow: load the model in bfloat16 or float32")
        return LayerActivations(
            {name: total.cpu().numpy() for name, total in self.neurons.items()},
            {matrix: self.outputs[matrix].cpu().numpy() for matrix in MATRICES},
        )


@torch.inference_mode()
def activation_pass(
    decoder: Decoder, data: TokenSet, cell: CellReader | None, batch: int, writer: ActivationWriter
) -> None:
    """Write the sums of every layer, of the cell or, without one, of the dense model."""
    hidden, calls = decoder.embed(torch.from_numpy(data.tokens), batch)
    bounds = block_bounds(len(hidden))
    progress = Progress(decoder.n_layers, "layer")
    for index, layer in decoder.walk():
        if cell is not None:
            apply_cell(decoder, index, cell)
        counter = _Counter(layer, len(bounds), decoder.checkpoint.architecture)
        with counter.hooked():
            for block, (first, last) in enumerate(bounds):
                counter.block = block
                propagate(layer, hidden[first:last], calls[index], batch)
        writer.write_layer(index, counter.result(f"decoder layer {index}"))
        progress.report(index + 1)


def tokens_of_blocks(data: TokenSet) -> np.ndarray:
    """Tokens in each block, int64."""
    return np.array([(last - first) * data.tokens.shape[1] for first, last in block_bounds(len(data.tokens))])
