"""Hidden-state dump of one variant in one language: `hidden_states/{corpus}/{language}.h5`, schema `hidden/1`.

Rows of the layer axis are the raw outputs "0" (embedding) to "L" (last block), then "L_normed" (after the final norm).
S sequences of T tokens, model width d, K sampled tokens. A dump of the dense model has only what is marked *.

    /layer             utf8 (L+2,)            *  names of the rows
    /sums/n            i8   (S,)              *  tokens
    /sums/bytes        i8   (S,)              *  UTF-8 bytes of the predicted tokens
    /sums/norm         f8   (S, L+2)          *  Σ_t ‖h‖ of the dense states
    /sums/sq           f8   (S, L+2)          *  Σ_t ‖h‖²
    /sums/norm_pruned  f8   (S, L+2)             Σ_t ‖h̃‖ of this variant's states
    /sums/sq_pruned    f8   (S, L+2)             Σ_t ‖h̃‖²
    /sums/dot          f8   (S, L+2)             Σ_t h·h̃
    /sums/diff         f8   (S, L+2)             Σ_t ‖h − h̃‖²
    /sums/nll_dense    f4   (S, T-1)          *  nats per predicted token
    /sums/nll_pruned   f4   (S, T-1)
    /sums/kl           f4   (S, T-1)             KL(dense ‖ pruned) of the next-token distributions, nats
    /sums/agree        i8   (S,)                 predicted tokens whose most likely token is the same
    /prompts/mean      f4   (L+2, S, d)       *  mean over tokens of this variant's states
    /prompts/n_content i4   (S,)              *  tokens in that mean
    /tokens/hidden     f4 | f2 | u2 (L+2, K, d) * this variant's states; u2: bits, by attribute `encoding`
    /tokens/sequence, position, token_id   i4 (K,)  *  the sample: drawn from the data's digest, equal in every variant

The root attribute `provenance` is JSON. No timestamps: same inputs, same bytes. `complete` is set last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import h5py
import hdf5plugin
import numpy as np

from polyprune.artifacts.hdf5 import create_hdf5, open_hdf5

SCHEMA = "hidden/1"
_UNITS = {"norm": "1", "sq": "1", "dot": "1", "diff": "1", "nll": "nat", "kl": "nat", "bytes": "byte", "n": "token"}
_CHUNK_BYTES = 2 << 20


@dataclass(frozen=True)
class HiddenStates:
    """One dump; arrays as in the module's layout, `sums` by name."""

    sums: Mapping[str, np.ndarray]
    prompt_mean: np.ndarray
    n_content: np.ndarray
    token_hidden: np.ndarray
    token_encoding: str
    token_place: Mapping[str, np.ndarray]


def row_names(n_layers: int) -> list[str]:
    """Names of the rows of the layer axis."""
    return [*map(str, range(n_layers + 1)), "L_normed"]


def save_hidden_states(path: Path, dump: HiddenStates, provenance: Mapping[str, Any]) -> None:
    """Write a dump, atomically."""
    with create_hdf5(path, SCHEMA, provenance) as file:
        n_rows = dump.prompt_mean.shape[0]
        file.create_dataset("layer", data=np.array(row_names(n_rows - 2), dtype=h5py.string_dtype()))
        for name, array in sorted(dump.sums.items()):
            dataset = file.create_dataset(f"sums/{name}", data=array)
            dataset.attrs["unit"] = _UNITS[name.split("_")[0]] if name != "agree" else "token"
        file.create_dataset("prompts/mean", data=dump.prompt_mean)
        file.create_dataset("prompts/n_content", data=dump.n_content)
        _write_tokens(file, dump)


def _write_tokens(file: h5py.File, dump: HiddenStates) -> None:
    _, n_tokens, width = dump.token_hidden.shape
    per_chunk = max(1, min(n_tokens, _CHUNK_BYTES // (width * dump.token_hidden.itemsize)))
    dataset = file.create_dataset(
        "tokens/hidden",
        data=dump.token_hidden,
        chunks=(1, per_chunk, width),
        shuffle=True,
        compression=hdf5plugin.Zstd(clevel=1),
    )
    dataset.attrs["encoding"] = dump.token_encoding
    for name, array in sorted(dump.token_place.items()):
        file.create_dataset(f"tokens/{name}", data=array)


def load_sums(path: Path) -> tuple[dict[str, np.ndarray], int]:
    """The sums of a dump and the model's width.

    Raises:
        UserError: missing, damaged or unfinished.
    """
    with open_hdf5(path, SCHEMA) as file:
        width = cast(h5py.Dataset, file["prompts/mean"]).shape[-1]
        sums = cast(h5py.Group, file["sums"])
        return {str(name): cast(h5py.Dataset, sums[str(name)])[...] for name in sums}, width
