"""What dumps of hidden states share: a layer axis, sums over tokens, means; written a row of that axis at a time.

Rows are the raw outputs "0" (embedding) to "L" (last decoder layer), then "L_normed" (after the final norm). N
sequences or prompts, model width d. h are the states of the dense model, h̃ of the variant that the dump is of; sums run
over the tokens that count. A dump of the dense model has only what is marked *.

    /layer               utf8 (L+2,)       *  names of the rows
    /sums/norm           f8   (N, L+2)     *  Σ_t ‖h‖
    /sums/sq             f8   (N, L+2)     *  Σ_t ‖h‖²
    /sums/norm_pruned    f8   (N, L+2)        Σ_t ‖h̃‖
    /sums/sq_pruned      f8   (N, L+2)        Σ_t ‖h̃‖²
    /sums/dot            f8   (N, L+2)        Σ_t h·h̃
    /sums/diff           f8   (N, L+2)        Σ_t ‖h − h̃‖²
    /sums/distance       f8   (N, L+2)        Σ_t ‖h − h̃‖
    /sums/robust_n       f8   (N, L+2)     *  tokens without those of massive norm (MASSIVE-1, over all N); over these:
    /sums/robust_norm    f8   (N, L+2)     *  Σ_t ‖h‖
    /sums/robust_sq      f8   (N, L+2)     *  Σ_t ‖h‖²
    /sums/robust_diff    f8   (N, L+2)        Σ_t ‖h − h̃‖²
    /prompts/mean        f4   (L+2, N, d)  *  mean over tokens of this variant's states
    /prompts/n_content   i8   (N,)         *  tokens that count

Only a row is in memory at a time, so that memory does not grow with the model's depth. Means are not compressed:
float32 gains little.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from polyprune.artifacts.hdf5 import Attributes, Hdf5Writer, create_hdf5

MEANS = "prompts/mean"
_CHUNK = 128
_UNITS = {
    **dict.fromkeys(("norm", "sq", "norm_pruned", "sq_pruned", "dot", "diff", "distance", "target"), "1"),
    **dict.fromkeys(("robust_norm", "robust_sq", "robust_diff"), "1"),
    **dict.fromkeys(("nll_dense", "nll_pruned", "kl"), "nat"),
    **dict.fromkeys(("n", "agree", "robust_n"), "token"),
    "bytes": "byte",
}


def row_names(n_layers: int) -> list[str]:
    """Names of the rows of the layer axis."""
    return [*map(str, range(n_layers + 1)), "L_normed"]


class RowWriter:
    """A dump that is being written."""

    def __init__(self, file: Hdf5Writer, n_layers: int) -> None:
        self.file, self._n_rows = file, n_layers + 2
        file.store("layer", np.array(row_names(n_layers), dtype=h5py.string_dtype()))

    def create_rows(
        self,
        name: str,
        n: int,
        width: int,
        kind: Any,
        chunk: int,
        about: Mapping[str, str] | None = None,
        **filters: Any,
    ) -> None:
        """A dataset (L+2, n, width) for `write_row`, in chunks of a row's `chunk` vectors, with attributes `about`."""
        shape, chunks = (self._n_rows, n, width), (1, max(1, min(chunk, n)), width)
        self.file.create(name, shape, kind, 0, {"unit": "1", **(about or {})}, chunks=chunks, **filters)

    def write_row(self, name: str, row: int, values: np.ndarray) -> None:
        """One row of a dataset that `create_rows` made, (n, width). Raises `OSError` if the disk is full."""
        self.file.write(name, row, values)
        self.file.flush()

    def write_sums(self, sums: Mapping[str, np.ndarray]) -> None:
        """Arrays of the group `sums`, by name."""
        for name, array in sorted(sums.items()):
            self.file.store(f"sums/{name}", array, _UNITS[name])

    def write_names(self, group: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Small arrays that say what the entries of a group are; they have no unit."""
        for name, array in sorted(arrays.items()):
            self.file.store(f"{group}/{name}", array)

    def write_counts(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Tokens of each sequence or prompt."""
        for name, array in sorted(arrays.items()):
            self.file.store(f"prompts/{name}", array.astype(np.int64), "token")


@contextmanager
def write_rows(
    path: Path, schema: str, n_layers: int, d_model: int, n_content: np.ndarray, attributes: Attributes
) -> Iterator[RowWriter]:
    """Open a dump; it appears, whole, when the block ends without error. `n_content`: tokens of each sequence."""
    with create_hdf5(path, schema, attributes) as file:
        writer = RowWriter(file, n_layers)
        writer.create_rows(MEANS, len(n_content), d_model, np.float32, _CHUNK)
        writer.write_counts({"n_content": n_content})
        yield writer
