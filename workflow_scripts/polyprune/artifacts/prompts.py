"""Prompts, as text and in a model's tokens.

Text, schema `prompts/2`: `prompts/{prompts}/{language}.parquet`, a prompt a row, in the same order in every language.

    item   string   identifies the prompt across languages
    text   string   what a user would ask: passage and question, without chat template

Tokens, schema `prompt-tokens/2`: `{model}/prompts/{prompts}/{language}.safetensors`; prompts have different lengths
and follow one another.

    tokens    int32  [n_tokens]        ids of all prompts, chat template included
    content   uint8  [n_tokens]        1 where the token has characters of the user's text, 0 for the template's
    start     int64  [n_prompts + 1]   where each prompt begins; the last is n_tokens

Header: the items in order, model and tokenizer digest, settings, code digest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from polyprune.artifacts.identity import ForeignError, Header, again
from polyprune.artifacts.tables import open_table, save_table
from polyprune.artifacts.tensors import load_arrays, save_arrays
from polyprune.provenance import digest

TEXT, TOKENS = "prompts/2", "prompt-tokens/2"
_COLUMNS = pa.schema([("item", pa.string()), ("text", pa.large_string())])


@dataclass(frozen=True)
class Prompt:
    """One prompt in one language."""

    item: str
    text: str


@dataclass(frozen=True)
class PromptSet:
    """Tokenised prompts of one language; see the module for the arrays."""

    tokens: np.ndarray
    content: np.ndarray
    start: np.ndarray
    metadata: Mapping[str, Any]

    @property
    def items(self) -> list[str]:
        return list(self.metadata["items"])

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each prompt, template included."""
        return np.diff(self.start)

    @property
    def digest(self) -> str:
        """Identifies the data: equal tokens and masks, equal digest."""
        return digest(self.start.tobytes(), self.tokens.tobytes(), self.content.tobytes())


def save_prompts(path: Path, prompts: Sequence[Prompt], about: Mapping[str, Any]) -> None:
    columns = {"item": [prompt.item for prompt in prompts], "text": [prompt.text for prompt in prompts]}
    save_table(path, TEXT, pa.table(columns, schema=_COLUMNS), about)


def load_prompts(path: Path, expected: Header | None = None) -> list[Prompt]:
    with open_table(path, TEXT, expected) as file:
        return [Prompt(**row) for row in file.read(columns=["item", "text"]).to_pylist()]


def save_prompt_set(path: Path, prompts: PromptSet) -> None:
    arrays = {"tokens": prompts.tokens, "content": prompts.content, "start": prompts.start}
    save_arrays(path, TOKENS, arrays, prompts.metadata)


def load_prompt_set(path: Path, expected: Header | None = None) -> PromptSet:
    """Raises `UserError` if the file is damaged, of another kind, or not what was asked for."""
    arrays, metadata = load_arrays(path, TOKENS, expected)
    found = PromptSet(arrays["tokens"], arrays["content"], arrays["start"], metadata)
    n_tokens, n_prompts = len(found.tokens), len(found.items)
    if found.start[-1] != n_tokens or len(found.content) != n_tokens or len(found.start) != n_prompts + 1:
        raise ForeignError(f"{path} holds {n_tokens} tokens, which are not its {n_prompts} prompts; {again(path)}")
    return found
