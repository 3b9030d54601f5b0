"""A cell from a checkpoint that somebody else made, layer by layer beside the dense model.

A scheme that removes weights makes masks: what is not 0 is kept, with its values where these are not the dense ones,
also from a checkpoint that is quantised besides. A scheme that quantises takes codes and scales as they are. Parameters
of a layer beside its matrices, which AWQ rescales, are the cell's where they are not the dense model's. What lies
outside of the layers is compared and told of, but the cell has the dense model's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from polyprune.artifacts.cells import save_layer
from polyprune.artifacts.weights import CellWeight, QuantisedWeight, SparseWeight
from polyprune.errors import UserError
from polyprune.grammar.schemes import Scheme
from polyprune.log import Progress
from polyprune.maths.grids import dequantise
from polyprune.model.decoder import Decoder
from polyprune.model.foreign.differences import Difference, difference, is_rounded, listed, sentence
from polyprune.model.foreign.reading import ForeignMatrices
from polyprune.model.products import Matrix

_WEIGHT = ".weight"


@dataclass
class Told:
    """What there is to say of a cell, by names of tensors."""

    kept: dict[str, Difference] = field(default_factory=dict)
    beside: dict[str, Difference] = field(default_factory=dict)
    outside: dict[str, Difference] = field(default_factory=dict)
    untouched: list[str] = field(default_factory=list)
    plain: list[str] = field(default_factory=list)
    grids: set[int] = field(default_factory=set)
    rounded: list[str] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def notes(self, method: str, updates: bool) -> Iterator[str]:
        """Sentences for tables."""
        after = "" if updates else f"; {method} leaves kept weights as they are"
        yield from sentence(self.kept, "kept weights that are not the dense model's: {n}", after)
        beside = "; the cell has the checkpoint's"
        yield from sentence(self.beside, "not the dense model's beside the matrices: {n}", beside)
        outside = "; the cell has the dense model's"
        yield from sentence(self.outside, "not the dense model's outside of the layers: {n}", outside)
        for names, words in (
            (self.lacking, "the checkpoint lacks {}, and the cell has the dense model's"),
            (self.unknown, "the checkpoint has besides {}, which the cell has not"),
            (self.rounded, "the checkpoint has {} rounded to fewer bits, and the cell the dense model's"),
            (self.untouched, "nothing is removed of or changed in {}"),
            (self.plain, "{} have weights and no codes"),
        ):
            if names:
                yield words.format(listed(names))
        if self.grids:
            bits = " and ".join(map(str, sorted(self.grids)))
            yield f"kept weights are values of a grid of {bits} bits: the checkpoint is quantised besides"

    def differences(self, layer: str = "") -> dict[str, dict[str, object]]:
        """For the header: of a layer, by the beginning of its names, or of what lies outside of all."""
        found = {**self.kept, **self.beside} if layer else self.outside
        return {name: each.header() for name, each in found.items() if name.startswith(layer)}


@torch.inference_mode()
def import_layers(
    decoder: Decoder, foreign: ForeignMatrices, scheme: Scheme, updates: bool, parts: Path, metadata: dict[str, Any]
) -> Told:
    """Leave all layers of the cell in `parts` (see `artifacts/cells.py`); what there is to say of them.

    Raises:
        UserError: a matrix is missing, of another shape, or not what the scheme says; names it.
    """
    told, progress = Told(), Progress(decoder.n_layers, "layer", every=0.0)
    for index, _ in decoder.walk():
        dense_layer = scheme.dense_ends and index in (0, decoder.n_layers - 1)
        weights: dict[str, CellWeight] = {}
        about: dict[str, dict[str, Any]] = {"places": {}}
        for product in decoder.products(index):
            for matrix in product.matrices:
                weight = _matrix(foreign, matrix, product.view(matrix), scheme, dense_layer, updates, told)
                if weight is not None:
                    weights[matrix.name] = weight
                    about["places"] |= {} if matrix.place is None else {matrix.name: matrix.place}
        beside = _beside(decoder, index, foreign, told)
        about["beside"] = {name: {"shape": list(tensor.shape)} for name, tensor in beside.items()}
        prefix = f"{decoder.prefix}.{index}."
        about["differences"] = told.differences(prefix)
        save_layer(parts, index, weights, metadata, about, beside)
        progress.report(index + 1, f"{len(weights)} matrices")
    return told


def _matrix(
    foreign: ForeignMatrices,
    matrix: Matrix,
    dense: Tensor,
    scheme: Scheme,
    dense_layer: bool,
    updates: bool,
    told: Told,
) -> CellWeight | None:
    """What the cell holds of a matrix; None if it is the dense one."""
    where = f"{foreign.tensors.folder}: {matrix.name}"
    module, index = matrix.tensor.removesuffix(_WEIGHT), matrix.index
    found = foreign.read(module) if index is None else foreign.tensors.tensor(matrix.tensor, index)
    found = found.T if matrix.transposed and isinstance(found, Tensor) else found
    shape = tuple(found.grid.codes.shape if isinstance(found, QuantisedWeight) else found.shape)
    if shape != tuple(dense.shape):
        raise UserError(f"{where} is {list(shape)}, and {list(dense.shape)} in the dense model: it is of another")
    if isinstance(found, QuantisedWeight):
        if scheme.quantises:
            _require_scheme(found, scheme, where)
            return found
        told.grids.add(found.bits)
        found = dequantise(found.grid)
    if found.dtype not in (torch.float32, torch.float16, torch.bfloat16):
        raise UserError(f"{where} is stored as {str(found.dtype).removeprefix('torch.')}, which is not read")
    if not bool(torch.isfinite(found).all()):
        raise UserError(f"{where} holds values that are not finite: the checkpoint is damaged")
    values = found.to(dense)
    if torch.equal(values, dense):
        if scheme.quantises:
            told.plain.append(matrix.name)
            return None
        if dense_layer or bool((values != 0).all()):
            if not dense_layer:
                told.untouched.append(matrix.name)
            return None
    keep = torch.ones_like(values, dtype=torch.bool) if scheme.quantises else values != 0
    if scheme.quantises:
        told.plain.append(matrix.name)
    if (scheme.quantises or not updates) and (other := difference(dense, found, keep)):
        told.kept[matrix.name + _WEIGHT] = other
    return SparseWeight.of(values, keep, changed=bool((values != dense)[keep].any()))


def _require_scheme(found: QuantisedWeight, scheme: Scheme, where: str) -> None:
    if (found.bits, found.group_size) != (scheme.bits, scheme.group_size):
        group = f"g{found.group_size}" if found.group_size else "channel"
        raise UserError(
            f"{where} has codes of scheme w{found.bits}{group}, listed is {scheme.text}: correct `scheme` in `imports`"
        )


def _beside(decoder: Decoder, index: int, foreign: ForeignMatrices, told: Told) -> dict[str, Tensor]:
    """A layer's parameters beside its matrices that are not the dense model's, by their names in the files."""
    found: dict[str, Tensor] = {}
    for each in decoder.beside(index):
        dense, stored = each.value.data, foreign.tensors.tensor(each.tensor)
        try:
            other = difference(dense, stored)
        except ValueError as error:
            raise UserError(f"{foreign.tensors.folder}: {each.tensor}: {error}") from error
        if other:
            told.beside[each.tensor] = other
        if not torch.equal(stored.to(dense), dense):
            found[each.tensor] = stored.to(dense)
    return found


def compare_outside(decoder: Decoder, foreign: ForeignMatrices, told: Told) -> None:
    """Compare what lies outside of the layers, tensor by tensor, and look for what the dense model has not."""
    checkpoint, prefix = decoder.checkpoint, f"{decoder.prefix}."
    own = {source.plain for name, source in decoder.layout.sources.items() if not name.startswith(prefix)} - {None}
    for name in sorted(map(str, own)):
        module = name.removesuffix(_WEIGHT)
        dense = checkpoint.tensor(name).to(decoder.dtype)
        if not foreign.holds(module) and name not in foreign.tensors:
            if not _is_stored_as_twin(decoder, name, foreign):
                told.lacking.append(f"{name} {list(dense.shape)}")
            continue
        stored = foreign.tensors.tensor(name) if name in foreign.tensors else foreign.read(module)
        stored = dequantise(stored.grid) if isinstance(stored, QuantisedWeight) else stored
        try:
            other = difference(dense, stored)
        except ValueError as error:
            told.unknown.append(f"{name} in another shape ({error})")
            continue
        if other:
            told.outside[name] = other
        elif is_rounded(dense, stored):
            told.rounded.append(f"{name} {list(dense.shape)}")
    known = {part for name in checkpoint.file_of for part in (name, *foreign.layout.parts(name.removesuffix(_WEIGHT)))}
    for name in foreign.tensors.file_of:
        if name not in known and not _says_nothing(decoder, name, foreign):
            told.unknown.append(f"{name} {list(foreign.tensors.tensor(name).shape)}")


def _twin(decoder: Decoder, name: str) -> str | None:
    """The tensor that a model uses one of as both, such as head and embedding, by the names of the files."""
    ties = decoder.model.all_tied_weights_keys
    return ties.get(name) or next((each for each, source in ties.items() if source == name), None)


def _is_stored_as_twin(decoder: Decoder, name: str, foreign: ForeignMatrices) -> bool:
    """Whether a checkpoint without this tensor has the one that it is tied to, and the dense model has both alike."""
    twin, dense = _twin(decoder, name), decoder.checkpoint
    if twin is None or twin not in foreign.tensors:
        return False
    return twin not in dense.file_of or torch.equal(dense.tensor(name), dense.tensor(twin))


def _says_nothing(decoder: Decoder, name: str, foreign: ForeignMatrices) -> bool:
    """Whether a tensor that the dense model's files lack is what the model has all the same.

    A head that is the embedding, and the biases of 0 that GPTQ's tools give to layers without any.
    """
    twin, stored = _twin(decoder, name), foreign.tensors.tensor(name)
    if twin in decoder.checkpoint.file_of:
        dense = decoder.checkpoint.tensor(str(twin))
        return dense.shape == stored.shape and difference(dense, stored) is None
    return name.endswith(".bias") and not bool(stored.any())
