"""Hidden-state dump of one variant in one language: `hidden_states/{corpus}/{language}.h5`, schema `hidden/5`.

Sequence by sequence what `artifacts/layer_rows.py` lays out, over all tokens; and what a text has besides. S sequences
of T tokens, model width d, K sampled tokens. A dump of the dense model has only what is marked *.

    /layer             utf8 (L+2,)            *  names of the rows
    /sums/n            i8   (S,)              *  tokens
    /sums/bytes        i8   (S,)              *  UTF-8 bytes of the targets
    /sums/target       u1   (S, T-1)          *  1 for the predicted tokens that count as targets: no special token does
    /sums/norm         f8   (S, L+2)          *  Σ_t ‖h‖ of the dense states
    /sums/sq           f8   (S, L+2)          *  Σ_t ‖h‖²
    /sums/norm_pruned  f8   (S, L+2)             Σ_t ‖h̃‖ of this variant's states
    /sums/sq_pruned    f8   (S, L+2)             Σ_t ‖h̃‖²
    /sums/dot          f8   (S, L+2)             Σ_t h·h̃
    /sums/diff         f8   (S, L+2)             Σ_t ‖h − h̃‖²
    /sums/distance     f8   (S, L+2)             Σ_t ‖h − h̃‖
    /sums/robust_n     f8   (S, L+2)          *  tokens without those of massive norm (MASSIVE-1, over the text);
    /sums/robust_norm, robust_sq  f8 (S, L+2) *  Σ_t ‖h‖, Σ_t ‖h‖² over these,
    /sums/robust_diff  f8   (S, L+2)             Σ_t ‖h − h̃‖²
    /sums/nll_dense    f4   (S, T-1)          *  nats per predicted token
    /sums/nll_pruned   f4   (S, T-1)
    /sums/kl           f4   (S, T-1)             KL(dense ‖ pruned) of the next-token distributions, nats
    /sums/agree        i8   (S,)                 targets at which the most likely token is the same
    /prompts/mean      f4   (L+2, S, d)       *  mean over tokens of this variant's states
    /prompts/n_content i8   (S,)              *  tokens in that mean
    /tokens/hidden     f4 | f2 | u2 (L+2, K, d) * this variant's states; u2: bits, by attribute `encoding`
    /tokens/sequence, position, token_id   i4 (K,)  *  the sample: drawn from the data's digest, equal in every variant
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hdf5plugin
import numpy as np

from polyprune.artifacts.hdf5 import Attributes, Hdf5Reader
from polyprune.artifacts.identity import Header
from polyprune.artifacts.layer_rows import MEANS, RowWriter, write_rows

SCHEMA = "hidden/5"
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
        about = {"encoding": dtype}
        writer.create_rows(SAMPLE, n_sampled, d_model, stored, chunk, about, shuffle=True, compression=zstd)
        writer.write_names("tokens", sample)
        yield writer


@dataclass(frozen=True)
class Sums:
    """The sums of a dump by name, the model's width and the header."""

    arrays: dict[str, np.ndarray]
    d_model: int
    header: Mapping[str, Any]


def load_sums(path: Path, expected: Header | None = None, names: Sequence[str] | None = None) -> Sums:
    """All sums, or those of these names that the dump has.

    Raises:
        UserError: the dump is missing, damaged, unfinished, or not what was asked for.
    """
    with Hdf5Reader(path, SCHEMA, expected) as file:
        read = [name for name in file.members("sums") if names is None or name in names]
        arrays = {name: file.whole(f"sums/{name}") for name in read}
        return Sums(arrays, file.shape(MEANS)[-1], file.header)
