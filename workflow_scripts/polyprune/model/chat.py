"""Prompts as a chat model sees them, and which of its tokens are the user's words.

The template is rendered to text, the user's text is found in it, and a token counts as content if it covers at least
one of its characters: special tokens, role names and line breaks of the template do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from polyprune.artifacts.prompts import Prompt, PromptSet
from polyprune.errors import UserError


def open_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer with its chat template.

    Raises:
        UserError: no template: the model is not a chat model.
    """
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    if not tokenizer.chat_template:
        raise UserError(f"{folder} has no chat template: prompts need an instruction-tuned model")
    return tokenizer


def tokenise_prompts(
    tokenizer: PreTrainedTokenizerFast, prompts: Sequence[Prompt], longest: int, metadata: Mapping[str, Any]
) -> PromptSet:
    """All prompts as the user's turn of a chat.

    Raises:
        UserError: a template that changes the text, or a prompt of more than `longest` tokens; names the prompt.
    """
    ids: list[np.ndarray] = []
    masks: list[np.ndarray] = []
    for prompt in prompts:
        tokens, content = tokenise_prompt(tokenizer, prompt)
        if len(tokens) > longest:
            raise UserError(f"prompt {prompt.item} has {len(tokens)} tokens, the model takes {longest}: leave it out")
        ids.append(tokens)
        masks.append(content)
    start = np.concatenate([[0], np.cumsum([len(tokens) for tokens in ids])]).astype(np.int64)
    items = [prompt.item for prompt in prompts]
    return PromptSet(np.concatenate(ids), np.concatenate(masks), start, {**metadata, "items": items})


def tokenise_prompt(tokenizer: PreTrainedTokenizerFast, prompt: Prompt) -> tuple[np.ndarray, np.ndarray]:
    """Token ids int32 and content mask uint8 of one prompt."""
    text = prompt.text.strip()
    rendered = str(tokenizer.apply_chat_template([{"role": "user", "content": text}], tokenize=False))
    if not text or rendered.count(text) != 1:
        raise UserError(f"the chat template does not hold the text of prompt {prompt.item} once and unchanged")
    first = rendered.index(text)
    encoding = tokenizer(rendered, add_special_tokens=False, return_offsets_mapping=True)
    begin, end = np.array(encoding["offset_mapping"], dtype=np.int64).T
    content = (end > first) & (begin < first + len(text)) & (end > begin)
    return np.array(encoding["input_ids"], dtype=np.int32), content.astype(np.uint8)
