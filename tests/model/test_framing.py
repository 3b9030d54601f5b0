"""What stands around packed documents, by family, and which tokens are special.

A row of the tables is a name, what is done to a good folder, what the settings say, and the verdict.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.helpers.damages import Damage, both, entries
from tests.helpers.tokenizers import BOS, CONFIG, EOS, added

from polyprune.errors import UserError
from polyprune.model.tokenizer import open_tokenizer

CHATML = added("<|endoftext|>", "<|im_start|>", "<|im_end|>", special=True)
TEXT_END, TURN_START, TURN_END = 340, 341, 342
FRAMES: dict[str, tuple[Damage, dict[str, str], tuple[int | None, int | None]]] = {
    "both": (entries("config.json"), {}, (BOS, EOS)),
    "several EOS, as Llama-3.1: the first": (entries("config.json", eos_token_id=[EOS, 7, 8]), {}, (BOS, EOS)),
    "an empty list": (entries("config.json", eos_token_id=[]), {}, (BOS, None)),
    "BOS only": (entries("config.json", eos_token_id=None), {}, (BOS, None)),
    "EOS only": (entries("config.json", bos_token_id=None), {}, (None, EOS)),
    "neither": (entries("config.json", bos_token_id=None, eos_token_id=None), {}, (None, None)),
    "Aya": (
        both(added("<EOS_TOKEN>", "<|END_OF_TURN_TOKEN|>", special=True), entries("config.json", eos_token_id=341)),
        {}, (BOS, TEXT_END),
    ),
    "instruct Llama-3": (
        both(added("<|end_of_text|>", "<|eot_id|>", special=True), entries("config.json", eos_token_id=341)),
        {}, (BOS, TEXT_END),
    ),
    "a token that only looks so": (
        both(added("<|end|>", special=True), entries("config.json", eos_token_id=340)), {}, (BOS, 340),
    ),
    "one token for both, as SmolLM2": (entries("config.json", bos_token_id=EOS), {}, (None, EOS)),
    "instruct Qwen2": (
        both(CHATML, entries("config.json", bos_token_id=TEXT_END, eos_token_id=TURN_END)), {}, (None, TEXT_END),
    ),
    "instruct SmolLM2": (
        both(CHATML, entries("config.json", bos_token_id=TURN_START, eos_token_id=TURN_END)), {}, (None, TEXT_END),
    ),
    "none wanted": (entries("config.json"), {"bos": "none", "separator": "none"}, (None, None)),
    "a separator wanted": (CHATML, {"separator": "<|endoftext|>"}, (BOS, TEXT_END)),
    "the end of a turn wanted": (CHATML, {"bos": "<|im_start|>", "separator": "<|im_end|>"}, (TURN_START, TURN_END)),
    "unknown, but not asked for": (
        entries("config.json", bos_token_id=900, eos_token_id=901), {"bos": "none", "separator": "</s>"}, (None, EOS),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FRAMES)
def test_what_stands_around_a_document(folder: Path, name: str) -> None:
    damage, wanted, frame = FRAMES[name]
    damage(folder)
    assert open_tokenizer(folder).frame(**wanted) == frame


SPECIAL: dict[str, tuple[Damage, dict[str, Any], set[int]]] = {
    "the model's": (entries("config.json"), {}, {BOS, EOS}),
    "ChatML's too": (CHATML, {"separator": "<|endoftext|>"}, {BOS, EOS, TEXT_END, TURN_START, TURN_END}),
    "the token of what it does not know is text": (
        both(added("<unk>", special=True), entries(CONFIG, unk_token="<unk>")), {}, {BOS, EOS},
    ),
    "unless it also ends text": (
        both(
            added("<unk>", special=True), entries(CONFIG, unk_token="<unk>", eos_token="<unk>"),
            entries("config.json", vocab_size=341),
        ),
        {}, {BOS, EOS, 340},
    ),
    "unless it stands between documents": (
        both(added("<unk>", special=True), entries(CONFIG, unk_token="<unk>")),
        {"separator": "<unk>"}, {BOS, EOS, 340},
    ),
    "a word that separates documents": (added("###"), {"separator": "###"}, {BOS, EOS, 340}),
}  # fmt: skip


@pytest.mark.parametrize("name", SPECIAL)
def test_which_tokens_are_never_targets(folder: Path, name: str) -> None:
    damage, wanted, special = SPECIAL[name]
    damage(folder)
    tokenizer = open_tokenizer(folder)
    found = tokenizer.special(np.arange(344).reshape(2, 172), tokenizer.frame(**wanted))
    assert set(np.flatnonzero(found).tolist()) == special


UNFRAMED: dict[str, tuple[Damage, dict[str, str], str]] = {
    "BOS unknown": (entries("config.json", bos_token_id=900), {}, r"names token 900 as BOS or EOS.*it has 340"),
    "EOS unknown": (entries("config.json", eos_token_id=[901]), {}, "names token 901 as BOS or EOS"),
    "BOS below zero": (entries("config.json", bos_token_id=-1), {}, "names token -1 as BOS or EOS"),
    "a setting unknown": (entries("config.json"), {"separator": "<|eod|>"}, r"text\.separator is '<\|eod\|>', which"),
    "ChatML without a document's end": (
        both(added("<|im_end|>", special=True), entries("config.json", eos_token_id=340)),
        {},
        r"EOS <\|im_end\|> ends a turn of a chat.*say in `text\.separator`",
    ),
}


@pytest.mark.parametrize("name", UNFRAMED)
def test_unknown_tokens_around_documents_are_refused(folder: Path, name: str) -> None:
    damage, wanted, message = UNFRAMED[name]
    damage(folder)
    with pytest.raises(UserError, match=message):
        open_tokenizer(folder).frame(**wanted)
