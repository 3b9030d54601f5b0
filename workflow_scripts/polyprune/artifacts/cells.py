"""A cell: one compressed model as what differs from the dense one. `mask.safetensors` or `weights.safetensors`.

For each compressed linear layer, by its full name in the checkpoint, e.g. `model.layers.0.mlp.up_proj`:

    {name}.keep, and {name}.values if the method changed the kept weights; or
    {name}.codes, {name}.scales, {name}.zeros and {name}.groups of a quantised one

as `artifacts/weights.py` lays them out. Metadata: `columns` (d_in of each linear layer), `quantisation` (bits and
group size) of a quantised cell, model digest, method, scheme, calibration, seed, settings, code digest. The dense
weight times the mask, or the kept values scattered into zeros, or scale · (code − zero) is the compressed weight
exactly. A reader in ten lines that needs nothing of this package: `docs/cells.md`.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save_file
from torch import Tensor

from polyprune.artifacts.atomic import atomic_write
from polyprune.artifacts.tensors import METADATA_KEY, concatenate, open_tensors, read_metadata
from polyprune.artifacts.weights import CellWeight, QuantisedWeight, read_weight
from polyprune.errors import UserError
from polyprune.provenance import canonical_json

_OF_THE_FILE = ("columns", "quantisation")
"""Header entries that describe the file; all others identify the job."""


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

    def weight(self, name: str) -> CellWeight | None:
        """What the cell holds of a linear layer, by its full name; None if it leaves it dense."""
        if name not in self.columns:
            return None

        def read(part: str) -> Tensor | None:
            full = f"{name}.{part}"
            return self._file.get_tensor(full) if full in self._names else None

        return read_weight(read, self.columns[name], self.metadata.get("quantisation"), f"{self.path}: {name}")

    @property
    def job(self) -> dict[str, Any]:
        """The part of the metadata that identifies the job."""
        return {key: value for key, value in self.metadata.items() if key not in _OF_THE_FILE}

    def packed_keep(self, name: str) -> np.ndarray:
        """The stored bytes of a linear layer's mask, uint8 (d_out, ceil(d_in / 8)), without unpacking them.

        Raises:
            UserError: the cell is quantised and has no masks.
        """
        if "quantisation" in self.metadata:
            raise UserError(f"{self.path} is quantised: it has codes, no masks")
        return self._file.get_tensor(f"{name}.keep").numpy()


def _part(folder: Path, layer: int) -> Path:
    return folder / f"layer-{layer:03d}.safetensors"


def save_layer(folder: Path, layer: int, weights: Mapping[str, CellWeight], metadata: Mapping[str, Any]) -> None:
    """Keep a finished layer, so that a killed job can go on after it."""
    tensors = {
        f"{name}.{part}": tensor for name, weight in weights.items() for part, tensor in weight.tensors().items()
    }
    header: dict[str, Any] = {**metadata, "columns": {name: weight.columns for name, weight in weights.items()}}
    for weight in weights.values():
        if isinstance(weight, QuantisedWeight):
            header["quantisation"] = {"bits": weight.bits, "group_size": weight.group_size}
    with atomic_write(_part(folder, layer)) as part:
        save_file(tensors, part, metadata={METADATA_KEY: canonical_json(header)})


def finished_layer(folder: Path, layer: int, metadata: Mapping[str, Any]) -> CellReader | None:
    """The layer that an earlier, killed run of the same job finished; None if it did not, or the job was another."""
    path = _part(folder, layer)
    if not path.is_file():
        return None
    reader = CellReader(path)
    return reader if reader.job == dict(metadata) else None


def join_layers(folder: Path, n_layers: int, path: Path, metadata: Mapping[str, Any]) -> None:
    """Write the cell from its finished layers and remove them."""
    parts = [_part(folder, layer) for layer in range(n_layers)]
    readers = [CellReader(part) for part in parts]
    header: dict[str, Any] = {**metadata, "columns": {}}
    for reader in readers:
        header["columns"] |= reader.columns
        if "quantisation" in reader.metadata:
            header["quantisation"] = reader.metadata["quantisation"]
    concatenate(parts, path, header)
    shutil.rmtree(folder)
