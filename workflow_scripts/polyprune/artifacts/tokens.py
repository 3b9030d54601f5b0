"""Token sequences: `tokens.safetensors` of calibration and evaluation text.

    tokens    int32  [n_sequences, sequence_length]   token ids
    n_bytes   int16  [n_sequences, sequence_length]   UTF-8 bytes of text that each token adds; 0 for special tokens

Metadata: corpus, language counts, tokenizer digest, settings, code digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from polyprune.artifacts.tensors import load_arrays, save_arrays
from polyprune.errors import UserError
from polyprune.provenance import digest


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
    save_arrays(path, {"tokens": token_set.tokens, "n_bytes": token_set.n_bytes}, token_set.metadata)


def load_tokens(path: Path) -> TokenSet:
    """Raises `UserError` if the file is damaged or of another kind."""
    arrays, metadata = load_arrays(path)
    if set(arrays) != {"tokens", "n_bytes"}:
        raise UserError(f"{path} is not a token file: it holds {', '.join(sorted(arrays))}")
    return TokenSet(arrays["tokens"], arrays["n_bytes"], metadata)
