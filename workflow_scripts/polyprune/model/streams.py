"""Push a text through the dense model and cells of it together: sums, means and differences of states, layer by layer.

The dense stream is computed once and serves every cell. Each dense layer is loaded once, and for each cell takes on its
weights for a moment. The streams of hidden states stay in memory, and a row of what is written; nothing that grows with
the depth of the model. A cell's numbers do not depend on which others are pushed with it.

Differences and norms of a token's states are float32, sums over tokens float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from polyprune.artifacts.cells import CellReader
from polyprune.artifacts.layer_rows import MEANS, RowWriter
from polyprune.errors import UserError
from polyprune.log import Progress
from polyprune.maths.massive import largest_usual_norm
from polyprune.maths.token_sums import sum_over_tokens
from polyprune.model.calls import LayerCall, through
from polyprune.model.compression import compressed
from polyprune.model.decoder import Decoder
from polyprune.model.staging import ahead, change

HOOKS = "raw outputs of the embedding (0) and of the decoder layers (1 to L), output of the final norm (L_normed)"


@dataclass(frozen=True)
class Batch:
    """Sequences of one length on their way through the layers.

    `members` are their places in the text, `content` (n, length) says which tokens count, `calls` is what layers are
    called with. `streams` are hidden states (n, length, d_model): the dense model's, then each cell's; they may lie in
    host memory.
    """

    members: np.ndarray
    content: Tensor
    calls: list[LayerCall]
    streams: list[Tensor]


def streams_from(dense: Tensor, n_cells: int) -> list[Tensor]:
    """The dense model's stream and a copy for each cell, pinned if it is: a plain clone would not be."""
    copies = (torch.empty_like(dense, pin_memory=dense.is_pinned()).copy_(dense) for _ in range(n_cells))
    return [dense, *copies]


def push(
    decoder: Decoder, batches: Sequence[Batch], cells: Sequence[CellReader], record: Callable[[int], None]
) -> None:
    """Push all streams through the model, in place, and call `record` at every row of the layer axis."""
    record(0)
    progress = Progress(decoder.n_layers, "layer")
    for index, layer in decoder.walk():
        _through(decoder, layer, index, batches, 0)
        for stream, cell in enumerate(cells, start=1):
            with compressed(decoder, index, cell):
                _through(decoder, layer, index, batches, stream)
        record(index + 1)
        progress.report(index + 1)
    every = [stream for batch in batches for stream in batch.streams]
    change(every, decoder.device, lambda _, states: decoder.normalise(states))
    record(decoder.n_layers + 1)


def _through(decoder: Decoder, layer: nn.Module, index: int, batches: Sequence[Batch], stream: int) -> None:
    parts = [batch.streams[stream] for batch in batches]
    change(parts, decoder.device, lambda number, states: through(layer, states, batches[number].calls[index]))


class Recorder:
    """Adds up the streams of one text, and writes the means of each variant row by row.

    A variant is each cell or, without cells, the dense model; `writers` are in their order, and so are `sums`: by name
    float64 (N, L+2), see `artifacts/layer_rows.py`.
    """

    def __init__(self, decoder: Decoder, batches: Sequence[Batch], writers: Sequence[RowWriter]) -> None:
        self._device, self._batches, self._writers = decoder.device, batches, writers
        self._shape = sum(len(batch.members) for batch in batches), decoder.n_layers + 2
        self._d_model = decoder.d_model
        self.sums: list[dict[str, np.ndarray]] = [{} for _ in writers]

    def record(self, row: int) -> None:
        """Take the streams as they are for this row.

        Raises:
            UserError: they are not finite, or their squares are not.
        """
        means = [np.empty((self._shape[0], self._d_model), np.float32) for _ in self._writers]
        norms: list[Tensor] = []
        distances: list[list[Tensor]] = []
        arriving = ahead([stream for batch in self._batches for stream in batch.streams], self._device)
        for batch in self._batches:
            h = next(arriving).float()
            norms.append(h.norm(dim=-1).double())
            distances.append([])
            of_dense = _sums_of_dense(norms[-1], batch.content)
            if len(batch.streams) == 1:
                means[0][batch.members] = self._keep(0, row, batch, h, of_dense)
            for variant in range(len(batch.streams) - 1):
                p = next(arriving).float()
                distances[-1].append((h - p).norm(dim=-1).double())
                found = of_dense | _sums_of_cell(p, distances[-1][-1], batch.content, of_dense["sq"])
                means[variant][batch.members] = self._keep(variant, row, batch, p, found)
        self._keep_robust(row, norms, distances)
        for writer, mean in zip(self._writers, means, strict=True):
            writer.write_row(MEANS, row, mean)

    def _keep(self, variant: int, row: int, batch: Batch, states: Tensor, found: dict[str, Tensor]) -> np.ndarray:
        """Keep a batch's sums; its means."""
        mean, values = _means(states, batch.content), torch.stack(list(found.values()))
        if not (torch.isfinite(values).all() and torch.isfinite(mean).all()):
            raise UserError(f"hidden states of layer row {row} overflow: load the model in bfloat16 or float32")
        self._put(variant, row, batch, dict(zip(found, values, strict=True)))
        return mean.cpu().numpy()

    def _keep_robust(self, row: int, norms: Sequence[Tensor], distances: Sequence[Sequence[Tensor]]) -> None:
        """Keep the sums without MASSIVE-1's tokens, from norms (n, length) of dense states and distances of cells'."""
        counted = [norm[batch.content] for norm, batch in zip(norms, self._batches, strict=True)]
        limit = largest_usual_norm(torch.cat(counted).cpu().numpy())
        for batch, norm, of_cells in zip(self._batches, norms, distances, strict=True):
            usual = batch.content & (norm <= limit)
            found = {
                "robust_n": usual.sum(dim=1),
                "robust_norm": _total(norm, usual),
                "robust_sq": _total(norm.square(), usual),
            }
            for variant in range(len(self.sums)):
                of_cell = {"robust_diff": _total(of_cells[variant].square(), usual)} if of_cells else {}
                self._put(variant, row, batch, found | of_cell)

    def _put(self, variant: int, row: int, batch: Batch, found: dict[str, Tensor]) -> None:
        for name, value in found.items():
            kept = self.sums[variant].setdefault(name, np.zeros(self._shape))
            kept[batch.members, row] = value.cpu().numpy()


def _sums_of_dense(norm: Tensor, content: Tensor) -> dict[str, Tensor]:
    """Sums over the tokens that count, float64 (n,), of norms (n, length)."""
    return {"norm": _total(norm, content), "sq": _total(norm.square(), content)}


def _sums_of_cell(p: Tensor, distance: Tensor, content: Tensor, sq: Tensor) -> dict[str, Tensor]:
    """Sums of a cell's states p at a `distance` from the dense ones, whose sum of squares is `sq`."""
    norm = p.norm(dim=-1).double()
    sq_pruned, diff = _total(norm.square(), content), _total(distance.square(), content)
    return {
        "norm_pruned": _total(norm, content),
        "sq_pruned": sq_pruned,
        "dot": (sq + sq_pruned - diff) / 2,
        "diff": diff,
        "distance": _total(distance, content),
    }


def _total(per_token: Tensor, content: Tensor) -> Tensor:
    return torch.where(content, per_token, 0.0).sum(dim=1)


def _means(states: Tensor, content: Tensor) -> Tensor:
    """Means over the tokens that count, float32 (n, d_model), of states (n, length, d_model)."""
    total = sum_over_tokens(torch.where(content[:, :, None], states, 0.0))
    return (total / content.sum(dim=1, keepdim=True)).float()
