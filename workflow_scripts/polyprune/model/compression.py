"""Compress a decoder layer by layer, as the published code of Wanda and SparseGPT does.

For each layer: one pass of the *dense* layer over inputs that the already *compressed* layers below produced collects
the statistics; every linear layer is compressed from them; a second pass, through the compressed layer, makes the
inputs of the next. Passes whose results nobody reads are left out: the second one of the last layer to be compressed,
and all of a method that looks at weights only. Embedding, norms and head stay as they are. Finished layers are kept
beside the output: a killed job replays their second pass and goes on.
"""

from __future__ import annotations

import ctypes
import re
import time
from collections.abc import Iterator, Sequence
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
from polyprune.maths.statistics import InputGram
from polyprune.methods.job import Job, Method
from polyprune.model.calibration import Calibration, Flow
from polyprune.model.calls import LayerCall, through
from polyprune.model.cpu_products import quick_products
from polyprune.model.decoder import Decoder
from polyprune.model.gates import is_gate
from polyprune.model.products import Matrix, Product, gates_of
from polyprune.model.staging import ahead, change
from polyprune.model.statistics import Anatomy, Reading, anatomy, collect, collect_by_language


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
        products, ours = decoder.products(index) + (_gates(decoder, index) if job.routers else []), job.for_layer(index)
        made = Made()
        done, errors = finished_layer(parts, index, metadata), Errors()
        if done:
            apply_matrices(products, done)
        elif index in dense:
            save_layer(parts, index, {}, metadata)
        elif flow is None:
            compress_alone(products, method, ours, made, errors)
            save_layer(parts, index, made.weights, metadata, made.about)
        else:
            found = anatomy(layer, products, *flow.few(index), f"{decoder.prefix}.{index}")
            inputs = (flow.hidden, flow.calls[index])
            compress_layer(layer, products, found, *inputs, method, ours, calibration.batch, made, errors)
            save_layer(parts, index, made.weights, metadata, made.about)
        if flow is not None and index < last:
            with quick_products(decoder.device):
                propagate(layer, flow.hidden, flow.calls[index], calibration.batch)
        state = "taken over" if done else f"sparsity {sparsity(products):.4f}, error {errors.relative:.3e}"
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


class Made:
    """What is kept of a layer's matrices, by full name, and what the header of the cell says of each."""

    def __init__(self) -> None:
        self.weights: dict[str, CellWeight] = {}
        self.about: dict[str, dict[str, Any]] = {"places": {}, "tokens": {}}

    def add(self, matrix: Matrix, weight: CellWeight, n_tokens: int | None) -> None:
        """Keep a matrix; `n_tokens` is how many an expert saw."""
        self.weights[matrix.name] = weight
        if matrix.place is not None:
            self.about["places"][matrix.name] = matrix.place
        if n_tokens is not None:
            self.about["tokens"][matrix.name] = n_tokens


def compress_layer(
    layer: nn.Module,
    products: Sequence[Product],
    found: Anatomy,
    hidden: Tensor,
    call: LayerCall,
    method: Method,
    job: Job,
    batch: int,
    made: Made,
    errors: Errors,
) -> None:
    """Compress the layer's matrices in place; what is kept of each goes to `made`.

    All from the dense layer's statistics, the widest input first, whose Gram matrix is the largest; or, if the job is
    true-sequential, input by input, so that each sees what the compressed matrices before it in the layer produce.
    """
    if method.statistic is None:
        raise ValueError("a method that reads no inputs compresses matrices alone")
    _renew(products)
    steps = [[group] for group in found.groups] if job.true_sequential else [list(found.groups)]
    for groups in steps:
        how = (call, method.statistic, job.all_experts)
        with quick_products(_device(layer)):
            if job.languages:
                inputs = [batches(hidden[each], batch, _device(layer)) for each in job.languages]
                readings = collect_by_language(layer, products, found, groups, inputs, *how)
            else:
                readings = collect(layer, products, found, groups, batches(hidden, batch, _device(layer)), *how)
        readings.sort(key=lambda reading: reading.matrices[0][0].d_in, reverse=True)
        large = any(isinstance(reading.statistic, InputGram) for reading in readings)
        if large:
            _give_back()
        while readings:
            _compress_group(readings.pop(0), method, job, made, errors)
        if large:
            _give_back()


def compress_alone(products: Sequence[Product], method: Method, job: Job, made: Made, errors: Errors) -> None:
    """Compress a layer's matrices in place from their weights alone; what is kept of each goes to `made`."""
    _renew(products)
    for product in products:
        for matrix in product.matrices:
            _compress_group(Reading(((product, matrix),), None), method, job, made, errors)


def _give_back() -> None:
    """Memory that is free returns to the system, where its library can: else it lies beside the Gram matrices, which
    are too large for it.
    """
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)


def _renew(products: Sequence[Product]) -> None:
    """Stacks of experts are written to matrix by matrix: in memory of their own, not in the file's."""
    for product in products:
        product.renew()


def _compress_group(reading: Reading, method: Method, job: Job, made: Made, errors: Errors) -> None:
    """Compress matrices that share an input."""
    where = _named([matrix.name for _, matrix in reading.matrices])
    weights = [product.view(matrix) for product, matrix in reading.matrices]
    try:
        compressed = method.compress(job, weights, reading.statistic, where)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error
    for (product, matrix), before, weight in zip(reading.matrices, weights, compressed, strict=True):
        after = weight.dense(before)
        errors.add(before, after, reading.statistic)
        product.put(matrix, after)
        made.add(matrix, weight, reading.n_tokens)


def _named(names: Sequence[str]) -> str:
    """Names of matrices in one layer, which is said once: `model.layers.0.self_attn.q_proj/self_attn.k_proj`."""
    found = re.match(r"(.*?\.\d+\.)", names[0])
    return "/".join([names[0], *(name.removeprefix(found[1] if found else "") for name in names[1:])])


def batches(hidden: Tensor, batch: int, device: torch.device) -> Iterator[Tensor]:
    """Hidden states, a few sequences at a time, on the device."""
    yield from ahead(hidden.split(batch), device)


def _device(layer: nn.Module) -> torch.device:
    return next(layer.parameters()).device


def _gpu_peak(device: torch.device) -> str:
    if device.type != "cuda":
        return ""
    return f", GPU peak {torch.cuda.max_memory_allocated(device) / 2**30:.1f} GiB"


def apply_cell(decoder: Decoder, index: int, cell: CellReader, for_good: bool = True) -> None:
    """Replace a layer's dense weights by the cell's, exactly as the job that made the cell left them.

    `for_good`: until they are read anew; experts that the cell removes take no memory from then on.
    """
    apply_matrices(_products(decoder, index, cell), cell)
    for each in decoder.beside(index) if cell.beside else ():
        if each.tensor in cell.beside:
            each.put(cell.tensor_beside(each.tensor))
    if (kept := cell.experts_kept(index)) is not None:
        decoder.remove_experts(index, kept, for_good)


def _gates(decoder: Decoder, index: int) -> list[Product]:
    return gates_of(decoder.layers[index], f"{decoder.prefix}.{index}.", decoder.layout)


def _products(decoder: Decoder, index: int, cell: CellReader) -> list[Product]:
    """Those of a layer, with its routers if the cell has some."""
    return decoder.products(index) + (_gates(decoder, index) if any(map(is_gate, cell.columns)) else [])


def apply_matrices(products: Sequence[Product], cell: CellReader) -> None:
    """Replace a layer's dense matrices by the cell's."""
    for product in products:
        device = product.weights.device
        found = ((matrix, cell.weight(matrix.name, device)) for matrix in product.matrices)
        held = [(matrix, weight) for matrix, weight in found if weight is not None]
        if held:
            product.renew()
        for matrix, weight in held:
            product.put(matrix, weight.dense(product.view(matrix)))


@contextmanager
def compressed(decoder: Decoder, index: int, cell: CellReader) -> Iterator[None]:
    """Within: the layer has the cell's weights. Afterwards it has its dense ones again, which stayed in memory."""
    places = [*_products(decoder, index, cell), *(decoder.beside(index) if cell.beside else ())]
    dense = [getattr(place.module, place.attribute) for place in places]
    try:
        apply_cell(decoder, index, cell, for_good=False)
        yield
    finally:
        decoder.give_back_experts(index)
        for place, weights in zip(places, dense, strict=True):
            setattr(place.module, place.attribute, weights)


@torch.inference_mode()
def propagate(layer: nn.Module, hidden: Tensor, call: LayerCall, batch: int) -> None:
    """Push all sequences through the layer, in place."""
    change(hidden.split(batch), _device(layer), lambda _, states: through(layer, states, call))


def sparsity(products: Sequence[Product]) -> float:
    """Share of exact zeros in a layer's matrices."""
    weights = [product.weights for product in products]
    return sum(int((weight == 0).sum()) for weight in weights) / sum(weight.numel() for weight in weights)
