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

and model digest, method, scheme, calibration, seed, settings, code digest; of a cell that was read from a checkpoint
also `checkpoint`, where that is from and what identifies it; of a composed cell also `rest` and `part`,
which say the same of the cells that it was made of. The dense weight times the mask, or the kept values scattered into
zeros, or scale · (code − zero) is the compressed weight exactly. A reader in ten lines that needs nothing of this
package: `docs/cells.md`.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save_file
from torch import Tensor

from polyprune.artifacts.atomic import atomic_write
from polyprune.artifacts.cell_notes import notes_on_experts
from polyprune.artifacts.identity import DamagedError, ForeignError, Header, again
from polyprune.artifacts.seals import digest_of, seal
from polyprune.artifacts.tensors import METADATA_KEY, TensorReader, bytes_of, concatenate, header_text
from polyprune.artifacts.weights import CellWeight, QuantisedWeight, SparseWeight, read_weight
from polyprune.errors import UserError
from polyprune.grammar.schemes import parse_scheme
from polyprune.log import logger

SCHEMA = "cell/2"
_OF_MATRICES = ("columns", "removed", "allowances", "places", "tokens", "beside", "differences")
_LONG = tuple(name for name in _OF_MATRICES if name != "allowances")
_OF_THE_FILE = (*_OF_MATRICES, "quantisation", "notes")
"""Header entries that describe the content; all others identify the job."""
_MANY = 10**6
"""Weights of which to count those that a scheme removes, for its share."""


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

    def weight(self, name: str) -> CellWeight | None:
        """What the cell holds of a linear layer, by its full name; None if it leaves it dense."""
        if name not in self.columns:
            return None

        def read(part: str) -> Tensor | None:
            full = f"{name}.{part}"
            return self._file.tensor(full) if full in self._file.digests else None

        weight = read_weight(read, self.columns[name], self.metadata.get("quantisation"), f"{self.path}: {name}")
        if isinstance(weight, SparseWeight) and weight.removed != tuple(self.metadata["removed"][name]):
            raise DamagedError(
                f"{self.path}: of {name}, {weight.removed[0]} of {weight.removed[1]} weights are removed, which is not "
                f"what the header says; {again(self.path)}"
            )
        return weight

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


def require_sparsities(path: Path, about: Header) -> None:
    """Compare the share that is removed of every matrix with what the scheme, or OWL for its layer, says.

    Raises:
        ForeignError: names the first matrix that differs without an allowance.
    """
    for name, counts in about["removed"].items():
        columns = about["columns"][name]
        if name not in about["allowances"] and not _is_as_the_scheme_says(counts, columns, about, name):
            raise ForeignError(
                f"{path}: of {name}, a share of {counts[0] / counts[1]:.4f} is removed, scheme {about['scheme']} says "
                f"{_wanted_share(about, name):.4f}; {again(path)}"
            )


def layer_of(name: str) -> int:
    """The decoder layer of a matrix, from 0: the number in its name."""
    found = re.search(r"\.(\d+)\.", name)
    if found is None:
        raise UserError(f"{name} is not the name of a matrix in a decoder layer")
    return int(found[1])


def _wanted_share(about: Header, name: str) -> float:
    """What the scheme, or OWL for its layer, says is to be removed of a matrix."""
    if "layer_sparsities" in about:
        return about["layer_sparsities"][layer_of(name)]
    scheme = parse_scheme(about["scheme"])
    return float(Fraction(scheme.removed_of(_MANY), _MANY))


def _is_as_the_scheme_says(counts: Sequence[int], columns: int, about: Header, name: str) -> bool:
    """To within one weight a row and one a column: shares are rounded row by row, block by block or for the whole."""
    removed, size = counts
    return abs(removed - _wanted_share(about, name) * size) <= size / columns + columns


def allowance(weight: SparseWeight, about: Header, name: str) -> str | None:
    """Why more of a matrix is removed than the scheme says; None if as much is.

    Methods that compare with a threshold remove all weights that tie with it, so that inputs which are always zero, or
    weights that are, may take others along.

    Raises:
        UserError: less is removed, which nothing explains; of a checkpoint of others it is told.
    """
    removed, size = weight.removed
    if "checkpoint" in about:
        return _otherwise(weight, about, name)
    if _is_as_the_scheme_says(weight.removed, weight.columns, about, name):
        return None
    share, wanted = removed / size, _wanted_share(about, name)
    if share < wanted:
        raise UserError(
            f"{name}: {about['method']} removes a share of {share:.4f}, scheme {about['scheme']} {wanted:.4f}"
        )
    empty = int((~weight.keep).all(dim=0).sum())
    return (
        f"{share:.4f} removed instead of {wanted:.4f}: weights of equal score go together; of {weight.columns} inputs "
        f"{empty} have no weight left"
    )


def _otherwise(weight: SparseWeight, about: Header, name: str) -> str | None:
    """What of a checkpoint's matrix is not as the scheme says: the share that is removed, or an n:m pattern."""
    (removed, size), n_of_m = weight.removed, parse_scheme(about["scheme"]).n_of_m
    wanted = _wanted_share(about, name)
    if not _is_as_the_scheme_says(weight.removed, weight.columns, about, name):
        return f"{removed / size:.4f} removed in the checkpoint, {wanted:.4f} by the scheme"
    if n_of_m is None or not wanted:
        return None
    n, m = n_of_m
    kept = weight.keep.unflatten(1, (-1, m)).sum(dim=2)
    broken = int((kept > n).sum())
    return f"{broken} of {kept.numel()} groups keep more than {n} of {m} in the checkpoint" if broken else None


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
