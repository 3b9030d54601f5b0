"""What prompts look like inside a model: `hidden_states/{prompts}/{language}.h5`, schema `prompts/1`.

Rows of the layer axis as in `artifacts/hidden_states.py`: raw outputs "0" (embedding) to "L", then "L_normed". P
prompts, model width d. Everything is over the user's content tokens only, none of the chat template's. A dump of the
dense model has only what is marked *.

    /layer               utf8 (L+2,)       *  names of the rows
    /prompts/item        utf8 (P,)         *  equal in every language
    /prompts/n_content   i8   (P,)         *  tokens of the user's text
    /prompts/n_total     i8   (P,)         *  tokens with the template's
    /prompts/mean        f4   (L+2, P, d)  *  mean over content tokens of this variant's states
    /sums/norm           f8   (P, L+2)     *  Σ_t ‖h‖ of the dense states
    /sums/sq             f8   (P, L+2)     *  Σ_t ‖h‖²
    /sums/diff           f8   (P, L+2)        Σ_t ‖h − h̃‖²
    /sums/distance       f8   (P, L+2)        Σ_t ‖h − h̃‖

The root attribute `provenance` is JSON. No timestamps: same inputs, same bytes. `complete` is set last. Means are
written a row at a time, so that memory does not grow with the model's depth; float32 gains little from compression and
has none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import h5py
import numpy as np

from polyprune.artifacts.hdf5 import create_hdf5, open_hdf5
from polyprune.artifacts.hidden_states import row_names

SCHEMA = "prompts/1"
_CHUNK_PROMPTS = 128


class PromptWriter:
    """A dump that is being written."""

    def __init__(self, file: h5py.File) -> None:
        self._file = file

    def write_means(self, row: int, mean: np.ndarray) -> None:
        """Means of one row of the layer axis, float32 (P, d)."""
        cast(h5py.Dataset, self._file["prompts/mean"])[row] = mean

    def write_sums(self, sums: Mapping[str, np.ndarray]) -> None:
        for name, array in sorted(sums.items()):
            dataset = self._file.create_dataset(f"sums/{name}", data=array)
            dataset.attrs["unit"] = "1"


@contextmanager
def write_prompt_states(
    path: Path,
    n_layers: int,
    d_model: int,
    items: Sequence[str],
    counts: Mapping[str, np.ndarray],
    provenance: Mapping[str, Any],
) -> Iterator[PromptWriter]:
    """Open a dump; it appears, whole, when the block ends without error. `counts` are n_content and n_total."""
    with create_hdf5(path, SCHEMA, provenance) as file:
        file.create_dataset("layer", data=np.array(row_names(n_layers), dtype=h5py.string_dtype()))
        file.create_dataset("prompts/item", data=np.array(items, dtype=h5py.string_dtype()))
        for name, array in sorted(counts.items()):
            file.create_dataset(f"prompts/{name}", data=array)
        shape = (n_layers + 2, len(items), d_model)
        chunks = (1, min(_CHUNK_PROMPTS, len(items)), d_model)
        file.create_dataset("prompts/mean", shape, np.float32, chunks=chunks).attrs["unit"] = "1"
        yield PromptWriter(file)


class PromptStates:
    """A dump on disk, read row by row of the layer axis. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        """Raises `UserError` if the file is missing, damaged or unfinished."""
        self._file = open_hdf5(path, SCHEMA)
        self.path = path

    def __enter__(self) -> PromptStates:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def layers(self) -> list[str]:
        return [name.decode() for name in cast(h5py.Dataset, self._file["layer"])[...]]

    @property
    def items(self) -> list[str]:
        return [name.decode() for name in cast(h5py.Dataset, self._file["prompts/item"])[...]]

    @property
    def n_content(self) -> np.ndarray:
        return cast(h5py.Dataset, self._file["prompts/n_content"])[...]

    def means(self, row: int) -> np.ndarray:
        """Prompt means of one row, float32 (P, d)."""
        return cast(h5py.Dataset, self._file["prompts/mean"])[row]

    def sums(self, name: str) -> np.ndarray:
        """One of the sums, float64 (P, L+2)."""
        return cast(h5py.Dataset, self._file[f"sums/{name}"])[...]
