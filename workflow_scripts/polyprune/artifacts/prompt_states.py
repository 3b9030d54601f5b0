"""What prompts look like inside a model: `hidden_states/{prompts}/{language}.h5`, schema `prompt-states/4`.

Prompt by prompt what `artifacts/layer_rows.py` lays out, over the user's content tokens only, none of the chat
template's. Besides, for P prompts, in a dump of any variant:

    /prompts/item      utf8 (P,)   equal in every language
    /prompts/n_total   i8   (P,)   tokens with the template's
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from polyprune.artifacts.hdf5 import Attributes, Hdf5Reader
from polyprune.artifacts.identity import Header
from polyprune.artifacts.layer_rows import MEANS, RowWriter, write_rows

SCHEMA = "prompt-states/4"


@contextmanager
def write_prompt_states(
    path: Path,
    n_layers: int,
    d_model: int,
    items: Sequence[str],
    n_content: np.ndarray,
    n_total: np.ndarray,
    attributes: Attributes,
) -> Iterator[RowWriter]:
    """Open a dump; it appears, whole, when the block ends without error. Arrays count the tokens of each prompt."""
    with write_rows(path, SCHEMA, n_layers, d_model, n_content, attributes) as writer:
        writer.write_names("prompts", {"item": np.array(items, dtype=h5py.string_dtype())})
        writer.write_counts({"n_total": n_total})
        yield writer


class PromptStates(Hdf5Reader):
    """A dump on disk, read row by row of the layer axis. Use as a context manager."""

    def __init__(self, path: Path, expected: Header | None = None) -> None:
        """Raises `UserError` if the file is missing, damaged, unfinished, or not what was asked for."""
        super().__init__(path, SCHEMA, expected)

    def __enter__(self) -> PromptStates:
        return self

    @property
    def layers(self) -> list[str]:
        """Names of the rows of the layer axis, (L+2,)."""
        return [name.decode() for name in self.whole("layer")]

    @property
    def items(self) -> list[str]:
        """Names of the prompts, (P,), equal in every language."""
        return [name.decode() for name in self.whole("prompts/item")]

    @property
    def n_content(self) -> np.ndarray:
        """Tokens of each prompt that count, int64 (P,)."""
        return self.whole("prompts/n_content")

    def means(self, row: int) -> np.ndarray:
        """Prompt means of one row, float32 (P, d)."""
        return self.at(MEANS, row)

    def sums(self, name: str) -> np.ndarray:
        """One of the sums, float64 (P, L+2)."""
        return self.whole(f"sums/{name}")
