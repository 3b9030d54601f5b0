"""A cell: one compressed model as what differs from the dense one. `mask.safetensors` or `weights.safetensors`.

For each compressed linear layer, by its full name in the checkpoint, e.g. `model.layers.0.mlp.up_proj`:

    {name}.keep, and {name}.values if the method changed the kept weights; or
    {name}.codes, {name}.scales, {name}.zeros and {name}.groups of a quantised one

as `artifacts/weights.py` lays them out. Header, schema `cell/2`:

    columns        d_in of each linear layer
    removed        how many of its weights are removed, and how many it has; of pruned cells
    allowances     why a share that is removed is not the scheme's, where it is not: see `allowance`
    quantisation   bits and group size; of quantised cells
    places         where in the files a matrix lies that is not the tensor `{name}.weight`: `tensor`, `index` in a stack
                   (or null), `transposed` if it is (d_in, d_out) there
    tokens         how many calibration tokens each expert's matrix saw
    notes          sentences that tables print, on experts that saw few and on what a checkpoint of others has otherwise
    beside         of a cell that was read from a checkpoint: parameters beside the matrices, such as norms, that are
                   not the dense model's; each is the tensor of its name
    differences    of such a cell: what else the checkpoint has otherwise than the dense model, by name

(the last five where there is something to say)

A cell of a method that removes whole experts says `unit: experts` and has one mask for each layer that has some: by the
module's name in transformers, `model.layers.0.mlp.experts.keep` [1, ceil(n_experts / 8)], bit 1 = expert stays. A
removed expert is no more in the stacks of weights nor in the router. Its header also has

    saliency       of each expert of each layer what decided
    sent           how many calibration tokens each was sent

and model digest, method, scheme, calibration, seed, settings, code digest; of a cell that was read from a checkpoint
also `checkpoint`, where that is from and what identifies it; of a composed cell also `rest` and `part`,
which say the same of the cells that it was made of. The dense weight times the mask, or the kept values scattered into
zeros, or scale · (code − zero) is the compressed weight exactly. A reader in ten lines that needs nothing of this
package: `docs/cells.md`.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from polyprune.artifacts.atomic import atomic_write
from polyprune.artifacts.cell_notes import notes_on_experts
from polyprune.artifacts.cell_shares import EXPERTS, allowance, layer_of, require_sparsities
from polyprune.artifacts.identity import DamagedError, Header, again
from polyprune.artifacts.seals import digest_of, seal
from polyprune.artifacts.tensors import METADATA_KEY, TensorReader, bytes_of, concatenate, header_text
from polyprune.artifacts.weights import CellWeight, QuantisedWeight, SparseWeight, read_weight
from polyprune.errors import UserError
from polyprune.log import logger

SCHEMA = "cell/2"
_OF_MATRICES = ("columns", "removed", "allowances", "places", "tokens", "beside", "differences", "saliency", "sent")
_LONG = tuple(name for name in _OF_MATRICES if name != "allowances")
_OF_THE_FILE = (*_OF_MATRICES, "quantisation", "notes")
"""Header entries that describe the content; all others identify the job."""


class CellReader:
    """A cell on disk, read matrix by matrix."""

    def __init__(self, path: Path, expected: Header | None = None) -> None:
        """Raises `UserError` if the file is damaged, of another kind, or not what was asked for."""
        self.path = path
        self._file = TensorReader(path, SCHEMA, expected)
        self.metadata: dict[str, Any] = self._file.about
        self.columns: dict[str, int] = self.metadata["columns"]
        self.beside: Mapping[str, Any] = self.metadata.get("beside", {})
        require_sparsities(path, self.metadata)

    def check(self) -> None:
        """Read everything, a tensor at a time. Raises `UserError` if anything is damaged."""
        self._file.check()

    def weight(self, name: str, device: torch.device | str = "cpu") -> CellWeight | None:
        """What the cell holds of a linear layer, by its full name; None if it leaves it dense.

        It is unpacked on the `device`, where it is to be used.
        """
        if name not in self.columns:
            return None

        def read(part: str) -> Tensor | None:
            full = f"{name}.{part}"
            return self._file.tensor(full).to(device) if full in self._file.digests else None

        weight = read_weight(read, self.columns[name], self.metadata.get("quantisation"), f"{self.path}: {name}")
        if isinstance(weight, SparseWeight) and weight.removed != tuple(self.metadata["removed"][name]):
            raise DamagedError(
                f"{self.path}: of {name}, {weight.removed[0]} of {weight.removed[1]} weights are removed, which is not "
                f"what the header says; {again(self.path)}"
            )
        return weight

    @property
    def removes_experts(self) -> bool:
        """Whether it removes whole experts, and no single weights."""
        return self.metadata.get("unit") == EXPERTS

    def experts_kept(self, layer: int) -> Tensor | None:
        """Of a cell that removes whole experts: which of a layer's stay, bool (n_experts,); None where it removes none.

        `layer` is counted from 0.
        """
        if not self.removes_experts:
            return None
        for name in self.columns:
            if layer_of(name) == layer and isinstance(weight := self.weight(name), SparseWeight):
                return weight.keep[0]
        return None

    def tensor_beside(self, name: str) -> Tensor:
        """A parameter beside the matrices that is not the dense model's, by its name in the files."""
        return self._file.tensor(name)

    @property
    def job(self) -> dict[str, Any]:
        """The part of the metadata that identifies the job."""
        return {key: value for key, value in self.metadata.items() if key not in _OF_THE_FILE}

    @property
    def brief(self) -> dict[str, Any]:
        """The metadata without what there is of every matrix, for headers of files made from the cell."""
        return {key: value for key, value in self.metadata.items() if key not in _LONG}

    def about_matrices(self, layer: int) -> dict[str, dict[str, Any]]:
        """What the header says of a layer's matrices besides their content: `places` and `tokens`."""
        return {
            entry: {name: of for name, of in self.metadata.get(entry, {}).items() if layer_of(name) == layer}
            for entry in ("places", "tokens")
        }

    def packed_keep(self, name: str) -> np.ndarray:
        """The stored bytes of a linear layer's mask, uint8 (d_out, ceil(d_in / 8)), without unpacking them.

        Raises:
            UserError: the cell is quantised and has no masks.
        """
        if "quantisation" in self.metadata:
            raise UserError(f"{self.path} is quantised: it has codes, no masks")
        return self._file.tensor(f"{name}.keep").numpy()


def _part(folder: Path, layer: int) -> Path:
    return folder / f"layer-{layer:03d}.safetensors"


def save_layer(
    folder: Path,
    layer: int,
    weights: Mapping[str, CellWeight],
    metadata: Mapping[str, Any],
    matrices: Mapping[str, Mapping[str, Any]] | None = None,
    beside: Mapping[str, Tensor] | None = None,
) -> None:
    """Keep a finished layer, so that a killed job can go on after it; `matrices` has header entries by matrix.

    `beside` are parameters beside the matrices by their names in the files.
    """
    tensors = {
        f"{name}.{part}": tensor.contiguous()
        for name, weight in weights.items()
        for part, tensor in weight.tensors().items()
    } | {name: tensor.cpu().contiguous() for name, tensor in (beside or {}).items()}
    sparse = {name: weight for name, weight in weights.items() if isinstance(weight, SparseWeight)}
    reasons = {name: allowance(weight, metadata, name) for name, weight in sparse.items()}
    about: dict[str, Any] = {
        **metadata,
        "columns": {name: weight.columns for name, weight in weights.items()},
        "removed": {name: weight.removed for name, weight in sparse.items()},
        "allowances": {name: reason for name, reason in reasons.items() if reason},
        **{name: entries for name, entries in (matrices or {}).items() if entries},
    }
    for name, reason in about["allowances"].items():
        logger.warning("%s: %s", name, reason)
    for weight in weights.values():
        if isinstance(weight, QuantisedWeight):
            about["quantisation"] = {"bits": weight.bits, "group_size": weight.group_size}
    digests = {name: digest_of(bytes_of(tensor)) for name, tensor in tensors.items()}
    path = _part(folder, layer)
    with atomic_write(path) as part:
        save_file(tensors, part, metadata={METADATA_KEY: header_text(path, SCHEMA, about, digests)})
        seal(part)


def finished_layer(folder: Path, layer: int, metadata: Mapping[str, Any]) -> CellReader | None:
    """The layer that an earlier, killed run of the same job finished.

    None if it did not, or the job was another, or the file is damaged.
    """
    path = _part(folder, layer)
    if not path.is_file():
        return None
    try:
        reader = CellReader(path)
        for name in reader.columns:
            reader.weight(name)
    except UserError as error:
        logger.warning("%s; this layer is done again", error)
        return None
    return reader if reader.job == dict(metadata) else None


def join_layers(
    folder: Path,
    n_layers: int,
    path: Path,
    metadata: Mapping[str, Any],
    notes: Sequence[str] = (),
    matrices: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Write the cell from its finished layers and remove them.

    `notes` are what else is to be said of it, `matrices` header entries by matrix beside those of the layers.
    """
    parts = [_part(folder, layer) for layer in range(n_layers)]
    about: dict[str, Any] = {**metadata, "columns": {}, "removed": {}, "allowances": {}, **(matrices or {})}
    for reader in map(CellReader, parts):
        for name in _OF_MATRICES:
            if name in reader.metadata:
                about[name] = about.get(name, {}) | reader.metadata[name]
        if "quantisation" in reader.metadata:
            about["quantisation"] = reader.metadata["quantisation"]
    if told := [*notes_on_experts(about), *notes]:
        about["notes"] = told
        for note in told:
            logger.warning("%s", note)
    concatenate(parts, path, SCHEMA, about)
    shutil.rmtree(folder)
