"""Which tokens of a rendered chat are the user's words."""

from __future__ import annotations

import copy
import random
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.helpers.parallel_prompts import LLAMA_LIKE
from tests.helpers.tiny import random_model, save_checkpoint
from tokenizers.processors import ByteLevel
from transformers import PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

from polyprune.artifacts.prompts import Prompt
from polyprune.errors import UserError
from polyprune.model.chat import (
    PROMPT_DATE,
    open_chat_tokenizer,
    render,
    template_digest,
    tokenise_prompt,
    tokenise_prompts,
)
from polyprune.model.tokenizer import ModelTokenizer
from polyprune.model.training import train_tokenizer

TEXT = "Die Katze trinkt Milch.\nWer trinkt? 猫喝牛奶。"


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = train_tokenizer([TEXT, "user assistant head tail", "The cat drinks milk."] * 20, 320)
    tokenizer.chat_template = LLAMA_LIKE
    return tokenizer


def opened(tokenizer: PreTrainedTokenizerFast, n_embedded: int = 400) -> ModelTokenizer:
    return ModelTokenizer(Path("folder"), tokenizer, tokenizer.backend_tokenizer, n_embedded)


def test_content_tokens_are_the_users_words_and_nothing_else(tokenizer: PreTrainedTokenizerFast) -> None:
    tokens, content = tokenise_prompt(tokenizer, Prompt("1", f"  {TEXT}\n"))
    assert tokens.dtype == np.int32 and content.dtype == np.uint8
    assert tokenizer.decode(tokens[content == 1]) == TEXT
    outside = tokenizer.decode(tokens[content == 0])
    assert outside == "<s><|head|>user<|tail|>\n\n</s>"
    assert content[0] == 0 and content[-1] == 0


def test_blanks_among_the_users_words_are_content_also_where_a_tokenizer_trims_them(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    """GPT-2's and its heirs' say that a token of a blank alone covers nothing, between the characters beside it."""
    trims = copy.deepcopy(tokenizer)
    trims.backend_tokenizer.post_processor = ByteLevel(trim_offsets=True)  # type: ignore[assignment]
    text = TEXT.replace(" ", "   ")
    offsets = trims(text, return_offsets_mapping=True)["offset_mapping"]
    assert any(begin == end for begin, end in offsets)
    for each in (tokenizer, trims):
        tokens, content = tokenise_prompt(each, Prompt("1", text))
        assert each.decode(tokens[content == 1]) == text
        assert each.decode(tokens[content == 0]) == "<s><|head|>user<|tail|>\n\n</s>"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (
            "{% for %}",
            r"is no template \(Expected an expression, got 'end of statement block', line 1\); fetch it again",
        ),
        ("{{ 1 / 0 }}", r"fails \(ZeroDivisionError: division by zero\); correct chat_template\.jinja"),
        ("{{ messages + 1 }}", r"fails \(TypeError: .*\); correct chat_template\.jinja"),
        ("{{ raise_exception('no') }}", r"refuses a conversation of user \(no\); correct chat_template\.jinja"),
    ],
)
def test_templates_that_fail_are_named(tokenizer: PreTrainedTokenizerFast, template: str, message: str) -> None:
    broken = copy.deepcopy(tokenizer)
    broken.chat_template = template
    with pytest.raises(UserError, match=rf"the chat template of .*{message}"):
        tokenise_prompt(broken, Prompt("1", TEXT))


def test_prompts_follow_one_another(tokenizer: PreTrainedTokenizerFast) -> None:
    prompts = [Prompt("a", TEXT), Prompt("b", "Milch?")]
    found = tokenise_prompts(opened(tokenizer), prompts, 200, {"language": "de"})
    assert found.items == ["a", "b"] and found.start[-1] == len(found.tokens) == len(found.content)
    second, _ = tokenise_prompt(tokenizer, prompts[1])
    assert np.array_equal(found.tokens[found.start[1] :], second)


def test_templates_that_change_the_text_and_long_prompts_are_refused(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(UserError, match=r"prompt a has \d+ tokens, the model takes 5"):
        tokenise_prompts(opened(tokenizer), [Prompt("a", TEXT)], 5, {})
    with pytest.raises(UserError, match=r"prompt a has token \d+ .* has embeddings for 9 tokens only"):
        tokenise_prompts(opened(tokenizer, 9), [Prompt("a", TEXT)], 200, {})
    tokenizer.chat_template = "{{ messages[0]['content'] | upper }}"
    with pytest.raises(UserError, match="does not hold the text of prompt x once and unchanged"):
        tokenise_prompt(tokenizer, Prompt("x", TEXT))
    tokenizer.chat_template = LLAMA_LIKE


BY_THE_CLOCK = "{{ strftime_now('%d %b %Y %H:%M:%S, %A') }}"
AS_LLAMA_31 = (
    "{% if not date_string is defined %}{% if strftime_now is defined %}"
    "{% set date_string = strftime_now('%d %b %Y') %}"
    "{% else %}{% set date_string = '26 Jul 2024' %}{% endif %}{% endif %}{{ date_string }}"
)
IN_A_MACRO = "{% macro today() %}{{ strftime_now('%Y-%m-%d') }}{% endmacro %}{{ today() }}"


class Tomorrow(datetime):
    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return datetime(2099, 1, 31, 23, 59, 58, tzinfo=tz)


@pytest.mark.parametrize(
    ("template", "said"),
    [(BY_THE_CLOCK, "26 Jul 2024 00:00:00, Friday"), (AS_LLAMA_31, "26 Jul 2024"), (IN_A_MACRO, "2024-07-26")],
)
def test_the_day_is_always_the_same(
    tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch, template: str, said: str
) -> None:
    monkeypatch.setattr(tokenizer, "chat_template", template + "|" + LLAMA_LIKE)
    monkeypatch.setattr(chat_template_utils, "datetime", Tomorrow)
    assert render(tokenizer, [{"role": "user", "content": "x"}]).split("|")[0] == said
    assert PROMPT_DATE.strftime("%Y-%m-%d") == "2024-07-26"
    assert chat_template_utils.datetime is Tomorrow, "others are told the time as before"  # type: ignore[attr-defined]


@pytest.mark.parametrize("template", ["{{ range(10**4) | random }}", "{{ lipsum() }}"])
def test_what_a_template_draws_is_always_the_same(
    tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch, template: str
) -> None:
    monkeypatch.setattr(tokenizer, "chat_template", template)
    random.seed(5)
    drawn = {render(tokenizer, [{"role": "user", "content": "x"}]) for _ in range(3)}
    assert len(drawn) == 1 and len({template_digest(tokenizer) for _ in range(3)}) == 1
    assert random.random() == random.Random(5).random(), "others draw as before"


def test_the_template_and_what_it_prints_are_its_identity(
    tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = template_digest(tokenizer)
    assert first is not None and len(first) == 16 and template_digest(tokenizer) == first
    monkeypatch.setattr(chat_template_utils, "datetime", Tomorrow)
    assert template_digest(tokenizer) == first
    digests: list[str | None] = [first]
    for template in (LLAMA_LIKE + " ", LLAMA_LIKE.replace("| trim", ""), BY_THE_CLOCK, "{{ raise_exception('no') }}"):
        tokenizer.chat_template = template
        digests.append(template_digest(tokenizer))
    tokenizer.chat_template = LLAMA_LIKE
    monkeypatch.setattr(tokenizer, "_special_tokens_map", {**tokenizer._special_tokens_map, "eos_token": "<s>"})
    digests.append(template_digest(tokenizer))
    assert len(set(digests)) == len(digests), "the last prints another end of turn, from the same template"
    monkeypatch.setattr(tokenizer, "chat_template", None)
    assert template_digest(tokenizer) is None


def test_a_model_without_template_is_no_chat_model(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    save_checkpoint(random_model("llama", vocab_size=320), tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert open_chat_tokenizer(tmp_path).fast.chat_template == LLAMA_LIKE
    (tmp_path / "chat_template.jinja").unlink()
    with pytest.raises(UserError, match="has no chat template: prompts need an instruction-tuned model"):
        open_chat_tokenizer(tmp_path)
