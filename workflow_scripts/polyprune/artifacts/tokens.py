"""Token sequences: `tokens.safetensors` of calibration and evaluation text, schema `tokens/3`.

    tokens    int32  [n_sequences, sequence_length]   token ids
    n_bytes   int32  [n_sequences, sequence_length]   UTF-8 bytes of text that each token adds; 0 for special tokens
    special   uint8  [n_sequences, sequence_length]   1 for BOS, EOS, PAD and their like: never a target of a loss

Header: corpus, framing, `around` (what stands before and after each document), languages, seed or split, model and
tokenizer digest, settings, code digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from polyprune.artifacts.identity import ForeignError, Header, again
from polyprune.artifacts.tensors import load_arrays, save_arrays
from polyprune.provenance import digest

SCHEMA = "tokens/3"
Frame = tuple[int | None, int | None]
"""Ids before and after each packed document; None where nothing stands."""


@dataclass(frozen=True)
class TokenSet:
    """Sequences of equal length; see the module for the arrays."""

    tokens: np.ndarray
    n_bytes: np.ndarray
    special: np.ndarray
    metadata: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """Identifies the data: equal tokens, of which the same are special, equal digest."""
        return digest(np.asarray(self.tokens.shape, np.int64).tobytes(), self.tokens.tobytes(), self.special.tobytes())

    @property
    def targets(self) -> np.ndarray:
        """Of each token but the first of a sequence, bool (n_sequences, sequence_length − 1): a loss is taken of it."""
        return self.special[:, 1:] == 0

    def first(self, n_tokens: int) -> TokenSet:
        """The first sequences, as many as `n_tokens` fill: at least one, at most all."""
        n = max(1, n_tokens // self.tokens.shape[1])
        return TokenSet(self.tokens[:n], self.n_bytes[:n], self.special[:n], self.metadata)


def save_tokens(path: Path, token_set: TokenSet) -> None:
    arrays = {name: getattr(token_set, name) for name in ("tokens", "n_bytes", "special")}
    save_arrays(path, SCHEMA, arrays, token_set.metadata)


def load_tokens(path: Path, expected: Header | None = None) -> TokenSet:
    """Raises `UserError` if the file is damaged, of another kind, or not what was asked for."""
    arrays, metadata = load_arrays(path, SCHEMA, expected)
    found = TokenSet(arrays["tokens"], arrays["n_bytes"], arrays["special"], metadata)
    _require_counts(path, found)
    return found


def _require_counts(path: Path, found: TokenSet) -> None:
    """Compare the number and length of sequences with the settings that the header names."""
    if "n_sequences" not in found.metadata:
        return
    wanted = (found.metadata["n_sequences"], found.metadata["sequence_length"])
    if {found.tokens.shape, found.n_bytes.shape, found.special.shape} != {wanted}:
        raise ForeignError(f"{path} holds {found.tokens.shape} tokens, its settings say {wanted}; {again(path)}")
