"""Compress a decoder layer by layer, as the published code of Wanda and SparseGPT does.

For each layer: one pass of the *dense* layer over inputs that the already *compressed* layers below produced collects
the statistics; every linear layer is compressed from them; a second pass, through the compressed layer, makes the
inputs of the next. Embedding, norms and head stay as they are. Finished layers are kept beside the output: a killed
job replays their second pass and goes on.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from polyprune.artifacts.cells import CellReader, SparseWeight, finished_layer, save_layer
from polyprune.errors import UserError
from polyprune.log import Progress
from polyprune.methods.job import Job, Method
from polyprune.model.decoder import Decoder, LayerCall, linears_of
from polyprune.model.statistics import collect


@torch.inference_mode()
def compress(
    decoder: Decoder, tokens: Tensor, method: Method, job: Job, batch: int, parts: Path, metadata: dict[str, Any]
) -> None:
    """Compress all layers and leave each in `parts` (see `artifacts/cells.py`).

    `tokens` is the calibration shard (n_sequences, sequence_length); `metadata` identifies the job.

    Raises:
        UserError: statistics that are not finite or cannot be factored; names layer, matrix and remedy.
    """
    hidden, calls = decoder.embed(tokens, batch)
    progress = Progress(decoder.n_layers, "layer", every=1.0)
    for index, layer in decoder.walk():
        started = time.monotonic()
        prefix = f"{decoder.prefix}.{index}."
        done = finished_layer(parts, index, metadata)
        if done:
            apply_cell(layer, prefix, done)
        elif job.scheme.dense_ends and index in (0, decoder.n_layers - 1):
            save_layer(parts, index, {}, metadata)
        else:
            weights = _compress_layer(layer, prefix, hidden, calls[index], method, job, batch)
            save_layer(parts, index, weights, metadata)
        propagate(layer, hidden, calls[index], batch)
        state = "taken over" if done else f"sparsity {sparsity(layer):.4f}"
        progress.report(index + 1, f"{state}, {time.monotonic() - started:.1f} s")


def _compress_layer(
    layer: nn.Module, prefix: str, hidden: Tensor, call: LayerCall, method: Method, job: Job, batch: int
) -> dict[str, SparseWeight]:
    """Compress the layer's linear layers in place; what is kept of each, by full name."""
    linears = linears_of(layer)
    groups: list[tuple[list[str], Any]]
    if method.statistic is None:
        groups = [([name], None) for name in linears]
    else:
        groups = collect(layer, linears, hidden, call, batch, method.statistic)
    kept: dict[str, SparseWeight] = {}
    for names, statistic in groups:
        matrices = [linears[name].weight for name in names]
        where = f"{prefix}{'/'.join(names)}"
        try:
            compressed = method.compress(job, matrices, statistic, where)
        except ValueError as error:
            raise UserError(f"{where}: {error}") from error
        for name, weight in zip(names, compressed, strict=True):
            linears[name].weight.data = weight.dense(linears[name].weight)
            kept[prefix + name] = weight
    return kept


def apply_cell(layer: nn.Module, prefix: str, cell: CellReader) -> None:
    """Replace the layer's dense weights by the cell's, exactly as the job that made the cell left them."""
    for name, linear in linears_of(layer).items():
        kept = cell.read(prefix + name)
        if kept is not None:
            device = linear.weight.device
            on_device = SparseWeight(kept.keep.to(device), kept.values)
            linear.weight = nn.Parameter(on_device.dense(linear.weight), requires_grad=False)


@torch.inference_mode()
def propagate(layer: nn.Module, hidden: Tensor, call: LayerCall, batch: int) -> None:
    """Push all sequences through the layer, in place."""
    for start in range(0, len(hidden), batch):
        hidden[start : start + batch] = layer(hidden[start : start + batch], **call)


def sparsity(layer: nn.Module) -> float:
    """Share of exact zeros in the layer's linear layers."""
    weights = [linear.weight for linear in linears_of(layer).values()]
    return sum(int((weight == 0).sum()) for weight in weights) / sum(weight.numel() for weight in weights)
