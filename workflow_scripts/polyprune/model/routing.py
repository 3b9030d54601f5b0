"""Push a model through a text and count how often each layer's router chooses each expert.

Counted is what an expert is handed, in the code of transformers as it is (`watching.py`): so it is what the router
decided, whatever the family makes of its scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from polyprune.artifacts.cells import CellReader
from polyprune.errors import UserError
from polyprune.log import Progress
from polyprune.maths.checks import is_finite
from polyprune.model.compression import apply_cell, propagate
from polyprune.model.decoder import Decoder
from polyprune.model.products import Product, expert_stacks
from polyprune.model.watching import Watch


@dataclass(frozen=True)
class Routing:
    """How often each expert of a layer was chosen, int64 (n_experts,), and which are removed, bool (n_experts,)."""

    counts: np.ndarray
    removed: np.ndarray


@torch.inference_mode()
def routing_pass(decoder: Decoder, tokens: Tensor, cell: CellReader | None, batch: int) -> dict[int, Routing]:
    """Of each layer that has experts; of the cell or, without one, of the dense model.

    `tokens` is (n_sequences, sequence_length), `batch` how many sequences go through a layer at once.

    Raises:
        UserError: no layer has experts, or one has several sets of them; hidden states are not finite in the end.
    """
    hidden, calls = decoder.embed(tokens, batch)
    progress, found = Progress(decoder.n_layers, "layer"), dict[int, Routing]()
    for index, layer in decoder.walk():
        if cell is not None:
            apply_cell(decoder, index, cell)
        stack = _first_stack(layer, f"{decoder.prefix}.{index}")
        if stack is None:
            propagate(layer, hidden, calls[index], batch)
        else:
            kept = None if cell is None else cell.experts_kept(index)
            there = np.ones(stack.n_experts or 0, dtype=bool) if kept is None else kept.numpy()
            places, counts = np.flatnonzero(there), np.zeros(len(there), np.int64)

            def count(_: Product, expert: int | None, x: Tensor, of: np.ndarray = counts, at: Any = places) -> None:
                of[at[expert]] += len(x)

            with Watch([stack], count):
                propagate(layer, hidden, calls[index], batch)
            found[index] = Routing(counts, ~there)
        progress.report(index + 1)
    if not found:
        raise UserError(f"{decoder.checkpoint.architecture} has no experts whose tokens could be counted")
    if not is_finite(hidden):
        raise UserError("hidden states overflow, and are sent to any expert: load the model in bfloat16 or float32")
    return found


def _first_stack(layer: nn.Module, where: str) -> Product | None:
    """The stack of a layer's experts that reads the layer's own states; None where it has no experts."""
    stacks = expert_stacks(layer)
    if len({id(stack.module) for stack in stacks}) > 1:
        raise UserError(f"{where} has several sets of experts, of which tokens cannot be counted together")
    return stacks[0] if stacks else None
