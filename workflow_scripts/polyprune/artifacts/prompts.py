"""Prompts, as text and in a model's tokens.

Text: `prompts/{prompts}/{language}.parquet`, one prompt a row, in the same order in every language.

    item   string   identifies the prompt across languages
    text   string   what a user would ask: passage and question, without chat template

Tokens: `{model}/prompts/{prompts}/{language}.safetensors`; prompts have different lengths and follow one another.

    tokens    int32  [n_tokens]        ids of all prompts, chat template included
    content   uint8  [n_tokens]        1 where the token has characters of the user's text, 0 for the template's
    start     int64  [n_prompts + 1]   where each prompt begins; the last is n_tokens

Metadata: the items in order, model and tokenizer digest, settings, code digest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from polyprune.artifacts.tables import open_table, save_table
from polyprune.artifacts.tensors import load_arrays, save_arrays
from polyprune.errors import UserError
from polyprune.provenance import digest

_SCHEMA = pa.schema([("item", pa.string()), ("text", pa.large_string())])


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


def save_prompts(path: Path, prompts: Sequence[Prompt], provenance: Mapping[str, Any]) -> None:
    columns = {"item": [prompt.item for prompt in prompts], "text": [prompt.text for prompt in prompts]}
    save_table(path, pa.table(columns, schema=_SCHEMA), provenance)


def load_prompts(path: Path) -> list[Prompt]:
    return [Prompt(**row) for row in open_table(path).read(columns=["item", "text"]).to_pylist()]


def save_prompt_set(path: Path, prompts: PromptSet) -> None:
    arrays = {"tokens": prompts.tokens, "content": prompts.content, "start": prompts.start}
    save_arrays(path, arrays, prompts.metadata)


def load_prompt_set(path: Path) -> PromptSet:
    """Raises `UserError` if the file is damaged or of another kind."""
    arrays, metadata = load_arrays(path)
    if set(arrays) != {"tokens", "content", "start"}:
        raise UserError(f"{path} is not a file of prompts: it holds {', '.join(sorted(arrays))}")
    return PromptSet(arrays["tokens"], arrays["content"], arrays["start"], metadata)
