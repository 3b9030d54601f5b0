"""Token sequences: `tokens.safetensors` of calibration and evaluation text, schema `tokens/2`.

    tokens    int32  [n_sequences, sequence_length]   token ids
    n_bytes   int32  [n_sequences, sequence_length]   UTF-8 bytes of text that each token adds; 0 for special tokens

Header: corpus, languages, seed or split, model and tokenizer digest, settings, code digest.
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

SCHEMA = "tokens/2"


@dataclass(frozen=True)
class TokenSet:
    """Sequences of equal length; see the module for the arrays."""

    tokens: np.ndarray
    n_bytes: np.ndarray
    metadata: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """Identifies the data: equal tokens, equal digest."""
        return digest(np.asarray(self.tokens.shape, np.int64).tobytes(), self.tokens.tobytes())


def save_tokens(path: Path, token_set: TokenSet) -> None:
    save_arrays(path, SCHEMA, {"tokens": token_set.tokens, "n_bytes": token_set.n_bytes}, token_set.metadata)


def load_tokens(path: Path, expected: Header | None = None) -> TokenSet:
    """Raises `UserError` if the file is damaged, of another kind, or not what was asked for."""
    arrays, metadata = load_arrays(path, SCHEMA, expected)
    found = TokenSet(arrays["tokens"], arrays["n_bytes"], metadata)
    _require_counts(path, found)
    return found


def _require_counts(path: Path, found: TokenSet) -> None:
    """Compare the number and length of sequences with the settings that the header names."""
    if "n_sequences" not in found.metadata:
        return
    wanted = (found.metadata["n_sequences"], found.metadata["sequence_length"])
    if found.tokens.shape != wanted or found.n_bytes.shape != wanted:
        raise ForeignError(f"{path} holds {found.tokens.shape} tokens, its settings say {wanted}; {again(path)}")
