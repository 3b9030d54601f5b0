"""Prompts as a chat model sees them, and which of its tokens are the user's words.

The template is rendered to text, the user's text is found in it, and a token counts as content if it covers at least
one of its characters: special tokens, role names and line breaks of the template do not. Blanks in the text do, also
those that a tokenizer trims off what it says that tokens cover.

Templates may print the day. It is always `PROMPT_DATE`: the same prompts on every day, and those that Llama 3.1's
template makes where it is told no date. They may also choose at random (`random`, `lipsum` of Jinja): always the same.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from transformers import PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

from polyprune.artifacts.prompts import Prompt, PromptSet
from polyprune.errors import UserError
from polyprune.model.tokenizer import ModelTokenizer, open_tokenizer
from polyprune.provenance import canonical_json, digest

PROMPT_DATE = datetime(2024, 7, 26)
_DATE_STRING = "26 Jul 2024"
Message = dict[str, str]
_PROBES: list[list[Message]] = [
    [{"role": "user", "content": "u"}],
    [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}],
    [{"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}, {"role": "user", "content": "v"}],
]
"""Conversations that show what a template prints around any text."""


def open_chat_tokenizer(folder: Path) -> ModelTokenizer:
    """The tokenizer with its chat template.

    Raises:
        UserError: no template: the model is not a chat model.
    """
    tokenizer = open_tokenizer(folder)
    if not tokenizer.fast.chat_template:
        raise UserError(f"{folder} has no chat template: prompts need an instruction-tuned model")
    return tokenizer


def render(tokenizer: PreTrainedTokenizerFast, messages: Sequence[Message], **options: Any) -> str:
    """A conversation as the template puts it, on `PROMPT_DATE`; `options` are those of `apply_chat_template`.

    Raises:
        TemplateError: the template refuses the conversation, as some do those with a system's turn.
        UserError: the template is no template, or fails.
    """
    try:
        with _on_the_prompt_date(), _without_chance():
            return str(
                tokenizer.apply_chat_template(list(messages), tokenize=False, date_string=_DATE_STRING, **options)  # type: ignore[arg-type]
            )
    except jinja2.exceptions.TemplateSyntaxError as error:
        raise UserError(
            f"{_owner(tokenizer)} is no template ({error.message}, line {error.lineno}); fetch it again"
        ) from error
    except jinja2.exceptions.TemplateError:
        raise
    except Exception as error:  # a template is a program: it raises what it likes
        raise UserError(
            f"{_owner(tokenizer)} fails ({type(error).__name__}: {error}); correct chat_template.jinja"
        ) from error


def render_accepted(tokenizer: PreTrainedTokenizerFast, messages: Sequence[Message], **options: Any) -> str:
    """As `render`, of a conversation that every template takes; raises `UserError` if this one does not."""
    try:
        return render(tokenizer, messages, **options)
    except jinja2.exceptions.TemplateError as error:
        roles = ", ".join(message["role"] for message in messages)
        raise UserError(
            f"{_owner(tokenizer)} refuses a conversation of {roles} ({error}); correct chat_template.jinja"
        ) from error


def _owner(tokenizer: PreTrainedTokenizerFast) -> str:
    return f"the chat template of {tokenizer.name_or_path}"


@contextmanager
def _on_the_prompt_date() -> Iterator[None]:
    """Within: a template that asks transformers for the time, by `strftime_now`, is told `PROMPT_DATE`."""
    module: Any = chat_template_utils
    clock = module.datetime
    module.datetime = _StoppedClock
    try:
        yield
    finally:
        module.datetime = clock


@contextmanager
def _without_chance() -> Iterator[None]:
    """Within: what a template draws is what it drew before."""
    state = random.getstate()
    random.seed(0)
    try:
        yield
    finally:
        random.setstate(state)


class _StoppedClock(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return PROMPT_DATE.replace(tzinfo=tz)


def template_digest(tokenizer: PreTrainedTokenizerFast) -> str | None:
    """Identifies how questions are put: the template and what it prints. None if there is no template."""
    if not tokenizer.chat_template:
        return None
    return digest(canonical_json(tokenizer.chat_template), *(_probe(tokenizer, chat) for chat in _PROBES))


def _probe(tokenizer: PreTrainedTokenizerFast, messages: Sequence[Message]) -> str:
    try:
        return render(tokenizer, messages, add_generation_prompt=messages[-1]["role"] == "user")
    except jinja2.exceptions.TemplateError as error:
        return f"refused: {error}"


def as_exchange(document: str) -> list[Message]:
    """The first half of a document as the user's turn, the rest as the answer: nothing in another language is added.

    Halves end at the blank that is nearest to the middle; where there is none, in the middle.
    """
    text = document.strip()
    middle = len(text) // 2
    blanks = [place for place, character in enumerate(text) if character.isspace()]
    place = min(blanks, key=lambda each: (abs(each - middle), each), default=middle)
    turns = zip(("user", "assistant"), (text[:place].strip(), text[place:].strip()), strict=True)
    return [{"role": role, "content": content} for role, content in turns]


def tokenise_prompts(
    tokenizer: ModelTokenizer, prompts: Sequence[Prompt], longest: int, metadata: Mapping[str, Any]
) -> PromptSet:
    """All prompts as the user's turn of a chat.

    Raises:
        UserError: a template that changes the text, or a prompt of more than `longest` tokens; names the prompt.
            Class and file of the tokenizer differ on the prompts, or a token has no embedding.
    """
    tokenizer.require_agreement([prompt.text for prompt in prompts], "the prompts")
    ids: list[np.ndarray] = []
    masks: list[np.ndarray] = []
    for prompt in prompts:
        tokens, content = tokenise_prompt(tokenizer.fast, prompt)
        if len(tokens) > longest:
            raise UserError(f"prompt {prompt.item} has {len(tokens)} tokens, the model takes {longest}: leave it out")
        tokenizer.require_embedded(tokens, f"prompt {prompt.item}")
        ids.append(tokens)
        masks.append(content)
    start = np.concatenate([[0], np.cumsum([len(tokens) for tokens in ids])]).astype(np.int64)
    items = [prompt.item for prompt in prompts]
    return PromptSet(np.concatenate(ids), np.concatenate(masks), start, {**metadata, "items": items})


def tokenise_prompt(tokenizer: PreTrainedTokenizerFast, prompt: Prompt) -> tuple[np.ndarray, np.ndarray]:
    """Token ids int32 and content mask uint8 of one prompt."""
    text = prompt.text.strip()
    rendered = render_accepted(tokenizer, [{"role": "user", "content": text}])
    if not text or rendered.count(text) != 1:
        raise UserError(f"the chat template does not hold the text of prompt {prompt.item} once and unchanged")
    first = rendered.index(text)
    encoding = tokenizer(rendered, add_special_tokens=False, return_offsets_mapping=True)
    begin, end = np.array(encoding["offset_mapping"], dtype=np.int64).T
    content = (end > first) & (begin < first + len(text))
    return np.array(encoding["input_ids"], dtype=np.int32), content.astype(np.uint8)
