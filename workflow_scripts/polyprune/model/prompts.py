"""Push prompts through the dense and a compressed model together: means and differences over the user's content tokens.

Prompts have different lengths. They are sorted by length and padded on the right within a batch: attention is causal,
so no token sees the padding behind it and positions count from the first token, which makes every content token's state
the same as without padding. So no attention mask is needed. Each layer is loaded once; both streams stay in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from polyprune.artifacts.cells import CellReader
from polyprune.artifacts.prompt_states import PromptWriter
from polyprune.artifacts.prompts import PromptSet
from polyprune.errors import UserError
from polyprune.log import Progress
from polyprune.model.compression import apply_cell
from polyprune.model.decoder import Decoder, LayerCall


@dataclass
class _Batch:
    """Prompts of similar length, (n, longest) tokens, on their way through the layers."""

    prompts: np.ndarray
    content: Tensor
    calls: list[LayerCall]
    dense: Tensor
    pruned: Tensor | None


def length_batches(lengths: np.ndarray, tokens_per_batch: int) -> Iterator[np.ndarray]:
    """Indices of prompts, shortest first, so that a batch padded to its longest prompt stays within the budget."""
    order = np.argsort(lengths, kind="stable")
    first = 0
    while first < len(order):
        last = first + 1
        while last < len(order) and (last + 1 - first) * lengths[order[last]] <= tokens_per_batch:
            last += 1
        yield order[first:last]
        first = last


@torch.inference_mode()
def prompt_pass(
    decoder: Decoder, data: PromptSet, cell: CellReader | None, tokens_per_batch: int, writer: PromptWriter
) -> None:
    """Write means and sums of all prompts, of the cell beside the dense model or of the dense model alone."""
    batches = [
        _start(decoder, data, members, cell is not None) for members in length_batches(data.lengths, tokens_per_batch)
    ]
    n_prompts, n_rows = len(data.lengths), decoder.n_layers + 2
    names = ("norm", "sq") if cell is None else ("norm", "sq", "diff", "distance")
    sums = {name: np.zeros((n_prompts, n_rows)) for name in names}
    progress = Progress(decoder.n_layers, "layer")

    def record(row: int) -> None:
        mean = np.empty((n_prompts, decoder.d_model), np.float32)
        for batch in batches:
            mean[batch.prompts] = _record(batch, row, sums)
        writer.write_means(row, mean)

    record(0)
    for index, layer in decoder.walk():
        for batch in batches:
            batch.dense = layer(batch.dense, **batch.calls[index])
        if cell is not None:
            apply_cell(layer, f"{decoder.prefix}.{index}.", cell)
            for batch in batches:
                batch.pruned = layer(batch.pruned, **batch.calls[index])
        record(index + 1)
        progress.report(index + 1)
    for batch in batches:
        batch.dense = decoder.normalise(batch.dense)
        if batch.pruned is not None:
            batch.pruned = decoder.normalise(batch.pruned)
    record(n_rows - 1)
    writer.write_sums(sums)


def _start(decoder: Decoder, data: PromptSet, members: np.ndarray, paired: bool) -> _Batch:
    longest = int(data.lengths[members].max())
    tokens = torch.zeros(len(members), longest, dtype=torch.long)
    content = torch.zeros(len(members), longest, dtype=torch.bool)
    for row, prompt in enumerate(members):
        part = slice(data.start[prompt], data.start[prompt + 1])
        n = part.stop - part.start
        tokens[row, :n] = torch.from_numpy(data.tokens[part].astype(np.int64))
        content[row, :n] = torch.from_numpy(data.content[part].astype(bool))
    hidden, calls = decoder.embed(tokens, len(members))
    return _Batch(members, content.to(hidden.device), calls, hidden, hidden.clone() if paired else None)


def _record(batch: _Batch, row: int, sums: dict[str, np.ndarray]) -> np.ndarray:
    """Add one layer's sums; the batch's prompt means, float32 (n, d)."""
    h = batch.dense.float()
    _add(sums["norm"], batch, row, h.norm(dim=-1))
    _add(sums["sq"], batch, row, h.square().sum(-1))
    variant = h
    if batch.pruned is not None:
        variant = batch.pruned.float()
        squares = (h - variant).square().sum(-1)
        _add(sums["diff"], batch, row, squares)
        _add(sums["distance"], batch, row, squares.sqrt())
    total = torch.where(batch.content[:, :, None], variant, 0.0).sum(dim=1, dtype=torch.float64)
    return (total / batch.content.sum(dim=1, keepdim=True)).float().cpu().numpy()


def _add(total: np.ndarray, batch: _Batch, row: int, per_token: Tensor) -> None:
    summed = torch.where(batch.content, per_token.double(), 0.0).sum(dim=1)
    if not torch.isfinite(summed).all():
        raise UserError(f"hidden states of layer row {row} overflow: load the model in bfloat16 or float32")
    total[batch.prompts, row] = summed.cpu().numpy()
