"""Compress a decoder layer by layer, as the published code of Wanda and SparseGPT does.

For each layer: one pass of the *dense* layer over inputs that the already *compressed* layers below produced collects
the statistics; every linear layer is compressed from them; a second pass, through the compressed layer, makes the
inputs of the next. Passes whose results nobody reads are left out: the second one of the last layer to be compressed,
and all of a method that looks at weights only. Embedding, norms and head stay as they are. Finished layers are kept
beside the output: a killed job replays their second pass and goes on.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from polyprune.artifacts.cells import CellReader, finished_layer, save_layer
from polyprune.artifacts.weights import CellWeight
from polyprune.errors import UserError
from polyprune.log import Progress
from polyprune.maths.output_error import output_error
from polyprune.methods.job import Job, Method
from polyprune.model.calibration import Calibration, Flow
from polyprune.model.decoder import LayerCall, linears_of
from polyprune.model.statistics import Anatomy, Group, anatomy, collect


@torch.inference_mode()
def compress(calibration: Calibration, method: Method, job: Job, parts: Path, metadata: dict[str, Any]) -> None:
    """Compress all layers and leave each in `parts` (see `artifacts/cells.py`); `metadata` identifies the job.

    Raises:
        UserError: statistics that are not finite or cannot be factored; names layer, matrix and remedy.
    """
    decoder = calibration.decoder
    flow = None if method.statistic is None else Flow(calibration)
    dense = {0, decoder.n_layers - 1} if job.scheme.dense_ends else set()
    last = max(set(range(decoder.n_layers)) - dense, default=0)
    progress = Progress(decoder.n_layers, "layer", every=0.0)
    for index, layer in decoder.walk():
        started = time.monotonic()
        prefix, ours = f"{decoder.prefix}.{index}.", job.for_layer(index)
        done, errors = finished_layer(parts, index, metadata), Errors()
        if done:
            apply_cell(layer, prefix, done)
        elif index in dense:
            save_layer(parts, index, {}, metadata)
        elif flow is None:
            save_layer(parts, index, compress_alone(layer, prefix, method, ours, errors), metadata)
        else:
            found = anatomy(layer, linears_of(layer), *flow.few(index), prefix[:-1])
            inputs = (flow.hidden, flow.calls[index])
            weights = compress_layer(layer, prefix, found, *inputs, method, ours, calibration.batch, errors)
            save_layer(parts, index, weights, metadata)
        if flow is not None and index < last:
            propagate(layer, flow.hidden, flow.calls[index], calibration.batch)
        state = "taken over" if done else f"sparsity {sparsity(layer):.4f}, error {errors.relative:.3e}"
        progress.report(index + 1, f"{state}, {time.monotonic() - started:.1f} s{_gpu_peak(decoder.device)}")


class Errors:
    """Sums ERR-1 of matrices."""

    def __init__(self) -> None:
        self.lost = self.original = 0.0

    def add(self, before: Tensor, after: Tensor, statistic: Any) -> None:
        """One matrix (d_out, d_in) before and after; `statistic` of its inputs, None for weights alone."""
        lost, original = output_error(before, after, None if statistic is None else statistic.total)
        self.lost, self.original = self.lost + lost, self.original + original

    @property
    def relative(self) -> float:
        """ε over all matrices added; 0 if there were none."""
        return (self.lost / self.original) ** 0.5 if self.original else 0.0


def compress_layer(
    layer: nn.Module,
    prefix: str,
    found: Anatomy,
    hidden: Tensor,
    call: LayerCall,
    method: Method,
    job: Job,
    batch: int,
    errors: Errors,
) -> dict[str, CellWeight]:
    """Compress the layer's linear layers in place; what is kept of each, by full name.

    All from the dense layer's statistics; or, if the job is true-sequential, input by input, so that each sees what the
    compressed matrices before it in the layer produce.
    """
    if method.statistic is None:
        raise ValueError("a method that reads no inputs compresses matrices alone")
    linears = linears_of(layer)
    steps = [[group] for group in found.groups] if job.true_sequential else [list(found.groups)]
    kept: dict[str, CellWeight] = {}
    for groups in steps:
        inputs = batches(hidden, batch, _device(layer))
        statistics = collect(layer, linears, found, groups, inputs, call, method.statistic)
        for names, statistic in zip(groups, statistics, strict=True):
            kept |= _compress_group(linears, prefix, names, statistic, method, job, errors)
    return kept


def compress_alone(layer: nn.Module, prefix: str, method: Method, job: Job, errors: Errors) -> dict[str, CellWeight]:
    """Compress the layer's linear layers in place from their weights alone; what is kept of each, by full name."""
    linears = linears_of(layer)
    kept: dict[str, CellWeight] = {}
    for name in linears:
        kept |= _compress_group(linears, prefix, (name,), None, method, job, errors)
    return kept


def _compress_group(
    linears: Mapping[str, nn.Linear],
    prefix: str,
    names: Group,
    statistic: Any,
    method: Method,
    job: Job,
    errors: Errors,
) -> dict[str, CellWeight]:
    """Compress matrices that share an input."""
    where = f"{prefix}{'/'.join(names)}"
    try:
        compressed = method.compress(job, [linears[name].weight for name in names], statistic, where)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error
    for name, weight in zip(names, compressed, strict=True):
        before, after = linears[name].weight.data, weight.dense(linears[name].weight.data)
        errors.add(before, after, statistic)
        linears[name].weight.data = after
    return {prefix + name: weight for name, weight in zip(names, compressed, strict=True)}


def batches(hidden: Tensor, batch: int, device: torch.device) -> Iterator[Tensor]:
    """Hidden states, a few sequences at a time, on the device."""
    for part in hidden.split(batch):
        yield part.to(device, non_blocking=True)


def _device(layer: nn.Module) -> torch.device:
    return next(layer.parameters()).device


def _gpu_peak(device: torch.device) -> str:
    if device.type != "cuda":
        return ""
    return f", GPU peak {torch.cuda.max_memory_allocated(device) / 2**30:.1f} GiB"


def apply_cell(layer: nn.Module, prefix: str, cell: CellReader) -> None:
    """Replace the layer's dense weights by the cell's, exactly as the job that made the cell left them."""
    for name, linear in linears_of(layer).items():
        weight = cell.weight(prefix + name)
        if weight is not None:
            linear.weight = nn.Parameter(weight.dense(linear.weight.data), requires_grad=False)


@contextmanager
def compressed(layer: nn.Module, prefix: str, cell: CellReader) -> Iterator[None]:
    """Within: the layer has the cell's weights. Afterwards it has its dense ones again, which stayed in memory."""
    dense = {linear: linear.weight for linear in linears_of(layer).values()}
    try:
        apply_cell(layer, prefix, cell)
        yield
    finally:
        for linear, weight in dense.items():
            linear.weight = weight


@torch.inference_mode()
def propagate(layer: nn.Module, hidden: Tensor, call: LayerCall, batch: int) -> None:
    """Push all sequences through the layer, in place."""
    for part, on_device in zip(hidden.split(batch), batches(hidden, batch, _device(layer)), strict=True):
        part.copy_(layer(on_device, **call))


def sparsity(layer: nn.Module) -> float:
    """Share of exact zeros in the layer's linear layers."""
    weights = [linear.weight for linear in linears_of(layer).values()]
    return sum(int((weight == 0).sum()) for weight in weights) / sum(weight.numel() for weight in weights)
