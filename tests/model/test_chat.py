"""Which tokens of a rendered chat are the user's words."""

from __future__ import annotations

import numpy as np
import pytest
from tests.helpers.parallel_prompts import LLAMA_LIKE
from transformers import PreTrainedTokenizerFast

from polyprune.artifacts.prompts import Prompt
from polyprune.errors import UserError
from polyprune.model.chat import tokenise_prompt, tokenise_prompts
from polyprune.model.training import train_tokenizer

TEXT = "Die Katze trinkt Milch.\nWer trinkt? 猫喝牛奶。"


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = train_tokenizer([TEXT, "user assistant head tail", "The cat drinks milk."] * 20, 320)
    tokenizer.chat_template = LLAMA_LIKE
    return tokenizer


def test_content_tokens_are_the_users_words_and_nothing_else(tokenizer: PreTrainedTokenizerFast) -> None:
    tokens, content = tokenise_prompt(tokenizer, Prompt("1", f"  {TEXT}\n"))
    assert tokens.dtype == np.int32 and content.dtype == np.uint8
    assert tokenizer.decode(tokens[content == 1]) == TEXT
    outside = tokenizer.decode(tokens[content == 0])
    assert outside == "<s><|head|>user<|tail|>\n\n</s>"
    assert content[0] == 0 and content[-1] == 0


def test_prompts_follow_one_another(tokenizer: PreTrainedTokenizerFast) -> None:
    prompts = [Prompt("a", TEXT), Prompt("b", "Milch?")]
    found = tokenise_prompts(tokenizer, prompts, 200, {"language": "de"})
    assert found.items == ["a", "b"] and found.start[-1] == len(found.tokens) == len(found.content)
    second, _ = tokenise_prompt(tokenizer, prompts[1])
    assert np.array_equal(found.tokens[found.start[1] :], second)


def test_templates_that_change_the_text_and_long_prompts_are_refused(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(UserError, match=r"prompt a has \d+ tokens, the model takes 5"):
        tokenise_prompts(tokenizer, [Prompt("a", TEXT)], 5, {})
    tokenizer.chat_template = "{{ messages[0]['content'] | upper }}"
    with pytest.raises(UserError, match="does not hold the text of prompt x once and unchanged"):
        tokenise_prompt(tokenizer, Prompt("x", TEXT))
    tokenizer.chat_template = LLAMA_LIKE
