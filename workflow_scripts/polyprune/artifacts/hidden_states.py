"""Hidden-state dump of one variant in one language: `hidden_states/{corpus}/{language}.h5`, schema `hidden/1`.

Sequence by sequence what `artifacts/layer_rows.py` lays out, over all tokens; and what a text has besides. S sequences
of T tokens, model width d, K sampled tokens. A dump of the dense model has only what is marked *.

    /layer             utf8 (L+2,)            *  names of the rows
    /sums/n            i8   (S,)              *  tokens
    /sums/bytes        i8   (S,)              *  UTF-8 bytes of the predicted tokens
    /sums/norm         f8   (S, L+2)          *  Σ_t ‖h‖ of the dense states
    /sums/sq           f8   (S, L+2)          *  Σ_t ‖h‖²
    /sums/norm_pruned  f8   (S, L+2)             Σ_t ‖h̃‖ of this variant's states
    /sums/sq_pruned    f8   (S, L+2)             Σ_t ‖h̃‖²
    /sums/dot          f8   (S, L+2)             Σ_t h·h̃
    /sums/diff         f8   (S, L+2)             Σ_t ‖h − h̃‖²
    /sums/distance     f8   (S, L+2)             Σ_t ‖h − h̃‖
    /sums/nll_dense    f4   (S, T-1)          *  nats per predicted token
    /sums/nll_pruned   f4   (S, T-1)
    /sums/kl           f4   (S, T-1)             KL(dense ‖ pruned) of the next-token distributions, nats
    /sums/agree        i8   (S,)                 predicted tokens whose most likely token is the same
    /prompts/mean      f4   (L+2, S, d)       *  mean over tokens of this variant's states
    /prompts/n_content i8   (S,)              *  tokens in that mean
    /tokens/hidden     f4 | f2 | u2 (L+2, K, d) * this variant's states; u2: bits, by attribute `encoding`
    /tokens/sequence, position, token_id   i4 (K,)  *  the sample: drawn from the data's digest, equal in every variant
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import h5py
import hdf5plugin
import numpy as np

from polyprune.artifacts.hdf5 import Attributes, open_hdf5
from polyprune.artifacts.layer_rows import MEANS, RowWriter, write_rows

SCHEMA = "hidden/1"
SAMPLE = "tokens/hidden"
_CHUNK_BYTES = 2 << 20
_STORED = {"float32": np.dtype("<f4"), "float16": np.dtype("<f2"), "bfloat16": np.dtype("<u2")}
"""How states of a dtype are kept exactly: bfloat16 as its bits, which HDF5 has no type for."""


@contextmanager
def write_hidden_states(
    path: Path,
    n_layers: int,
    d_model: int,
    n_content: np.ndarray,
    sample: Mapping[str, np.ndarray],
    dtype: str,
    attributes: Attributes,
) -> Iterator[RowWriter]:
    """Open a dump; it appears, whole, when the block ends without error.

    `sample` holds sequence, position and token_id of the sampled tokens, `dtype` is that of the states.
    """
    with write_rows(path, SCHEMA, n_layers, d_model, n_content, attributes) as writer:
        stored, n_sampled = _STORED[dtype], len(sample["token_id"])
        chunk = _CHUNK_BYTES // (d_model * stored.itemsize)
        zstd = hdf5plugin.Zstd(clevel=1)
        hidden = writer.create_rows(SAMPLE, n_sampled, d_model, stored, chunk, shuffle=True, compression=zstd)
        hidden.attrs["encoding"], hidden.attrs["unit"] = dtype, "1"
        writer.write_names("tokens", sample)
        yield writer


def load_sums(path: Path) -> tuple[dict[str, np.ndarray], int]:
    """The sums of a dump and the model's width.

    Raises:
        UserError: missing, damaged or unfinished.
    """
    with open_hdf5(path, SCHEMA) as file:
        sums = cast(h5py.Group, file["sums"])
        found = {str(name): cast(h5py.Dataset, sums[str(name)])[...] for name in sums}
        return found, cast(h5py.Dataset, file[MEANS]).shape[-1]
