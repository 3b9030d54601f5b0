"""A cell: one compressed model as what differs from the dense one. `mask.safetensors` or `weights.safetensors`.

For each compressed linear layer, by its full name in the checkpoint, e.g. `model.layers.0.mlp.up_proj`:

    {name}.keep     uint8  [d_out, ceil(d_in / 8)]   bit 1 = weight kept; little bit order, padding bits 0
    {name}.values   dtype of the model  [n_kept]     kept weights, row by row; only if the method changed them

Metadata: `columns` (d_in of each linear layer), model digest, method, scheme, calibration, seed, settings, code digest.
The dense weight times the mask, or the kept values scattered into zeros, is the compressed weight exactly:

    import torch; from safetensors.torch import load_file
    cell = load_file("mask.safetensors")
    bits = cell["model.layers.0.mlp.up_proj.keep"]
    keep = (bits[:, :, None] >> torch.arange(8, dtype=torch.uint8) & 1).flatten(1)[:, :d_in].bool()
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from polyprune.artifacts.atomic import atomic_write
from polyprune.artifacts.tensors import METADATA_KEY, concatenate, open_tensors, read_metadata
from polyprune.errors import UserError
from polyprune.maths.packing import pack_bits, unpack_bits
from polyprune.provenance import canonical_json


@dataclass(frozen=True)
class SparseWeight:
    """What is kept of one weight matrix; `values` is None where the kept weights are the dense ones."""

    keep: Tensor
    values: Tensor | None

    @classmethod
    def of(cls, weight: Tensor, keep: Tensor, changed: bool) -> SparseWeight:
        """From the compressed matrix and its mask, both (d_out, d_in)."""
        return cls(keep, weight[keep] if changed else None)

    def dense(self, original: Tensor) -> Tensor:
        """The compressed matrix, given the uncompressed one."""
        if self.values is None:
            return torch.where(self.keep, original, 0)
        weight = torch.zeros_like(original)
        weight[self.keep] = self.values.to(original.device)
        return weight


class CellReader:
    """A cell on disk, read matrix by matrix."""

    def __init__(self, path: Path) -> None:
        """Raises `UserError` if the file is damaged or of another kind."""
        self.path = path
        self._file = open_tensors(path)
        self.metadata: dict[str, Any] = read_metadata(self._file)
        self._names = set(self._file.keys())
        if "columns" not in self.metadata:
            raise UserError(f"{path} is not a cell: its header has no `columns`")
        self.columns: dict[str, int] = self.metadata["columns"]

    def read(self, name: str) -> SparseWeight | None:
        """What is kept of a linear layer, by its full name; None if the cell leaves it dense."""
        if name not in self.columns:
            return None
        keep = unpack_bits(self._file.get_tensor(f"{name}.keep"), self.columns[name])
        values = f"{name}.values"
        return SparseWeight(keep, self._file.get_tensor(values) if values in self._names else None)

    def packed_keep(self, name: str) -> np.ndarray:
        """The stored bytes of a linear layer's mask, uint8 (d_out, ceil(d_in / 8)), without unpacking them."""
        return self._file.get_tensor(f"{name}.keep").numpy()


def _part(folder: Path, layer: int) -> Path:
    return folder / f"layer-{layer:03d}.safetensors"


def save_layer(folder: Path, layer: int, weights: Mapping[str, SparseWeight], metadata: Mapping[str, Any]) -> None:
    """Keep a finished layer, so that a killed job can go on after it."""
    tensors: dict[str, Tensor] = {}
    for name, weight in weights.items():
        tensors[f"{name}.keep"] = pack_bits(weight.keep.cpu())
        if weight.values is not None:
            tensors[f"{name}.values"] = weight.values.cpu()
    columns = {name: weight.keep.shape[1] for name, weight in weights.items()}
    with atomic_write(_part(folder, layer)) as part:
        save_file(tensors, part, metadata={METADATA_KEY: canonical_json({**metadata, "columns": columns})})


def finished_layer(folder: Path, layer: int, metadata: Mapping[str, Any]) -> CellReader | None:
    """The layer that an earlier, killed run of the same job finished; None if it did not, or the job was another."""
    path = _part(folder, layer)
    if not path.is_file():
        return None
    reader = CellReader(path)
    return (
        reader if {key: value for key, value in reader.metadata.items() if key != "columns"} == dict(metadata) else None
    )


def join_layers(folder: Path, n_layers: int, path: Path, metadata: Mapping[str, Any]) -> None:
    """Write the cell from its finished layers and remove them."""
    parts = [_part(folder, layer) for layer in range(n_layers)]
    columns = {name: width for part in parts for name, width in CellReader(part).columns.items()}
    concatenate(parts, path, {**metadata, "columns": columns})
    shutil.rmtree(folder)
