"""Token files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from polyprune.artifacts.tensors import save_arrays
from polyprune.artifacts.tokens import TokenSet, load_tokens, save_tokens
from polyprune.errors import UserError


def token_set(tokens: np.ndarray, **metadata: object) -> TokenSet:
    return TokenSet(tokens.astype(np.int32), np.ones_like(tokens, np.int32), metadata)


TOKENS = np.arange(12).reshape(3, 4)


def test_tokens_come_back(tmp_path: Path):
    made = TokenSet(TOKENS.astype(np.int32), (TOKENS + 1).astype(np.int32), {"language": "de", "sequences": {"de": 3}})
    save_tokens(tmp_path / "x", made)
    loaded = load_tokens(tmp_path / "x")
    assert (loaded.tokens.dtype, loaded.n_bytes.dtype) == (np.int32, np.int32)
    assert np.array_equal(loaded.tokens, TOKENS)
    assert np.array_equal(loaded.n_bytes, TOKENS + 1)
    assert loaded.metadata == made.metadata
    assert loaded.digest == made.digest


def test_the_digest_is_of_the_tokens_and_their_shape_alone():
    assert token_set(TOKENS).digest == token_set(TOKENS, language="de").digest
    assert token_set(TOKENS).digest != token_set(TOKENS.reshape(4, 3)).digest
    assert token_set(TOKENS).digest != token_set(TOKENS[::-1]).digest
    assert token_set(np.asfortranarray(TOKENS)).digest == token_set(TOKENS).digest


def test_files_of_another_kind_are_refused(tmp_path: Path):
    save_arrays(tmp_path / "x", "prompt-tokens/2", {"tokens": TOKENS, "mask": TOKENS}, {})
    with pytest.raises(UserError) as refused:
        load_tokens(tmp_path / "x")
    assert str(refused.value).startswith(f"{tmp_path / 'x'} is of kind prompt-tokens/2, expected tokens/2; delete it")
