"""Tokenizers as people have them: opened as transformers opens them, or refused in one sentence.

A row of the tables is a name, what is done to a good folder, and the verdict.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.helpers.tiny import random_model, save_checkpoint
from tokenizers import pre_tokenizers
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer

from polyprune.corpora.windows import long_document_windows, packed_windows
from polyprune.errors import UserError
from polyprune.model.tokenizer import open_tokenizer
from polyprune.model.training import train_tokenizer

TEXTS = [
    "The quick brown fox jumps over the lazy dog, 12345 times in 1999.",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.",
    "我能吞下玻璃而不伤身体。 天地玄黄",
    "  spaces, \n\n lines\tand\ttabs  ",
    "",
]
VOCABULARY = 340
BOS, EOS = 0, 1
Damage = Callable[[Path], Any]


def entries(file: str, **changes: Any) -> Damage:
    """Change entries of a JSON file; None removes one."""

    def damage(folder: Path) -> None:
        path = folder / file
        found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        found = {key: value for key, value in {**found, **changes}.items() if value is not None}
        path.write_text(json.dumps(found), encoding="utf-8")

    return damage


def both(*damages: Damage) -> Damage:
    def damage(folder: Path) -> None:
        for one in damages:
            one(folder)

    return damage


def content(file: str, data: bytes) -> Damage:
    return lambda folder: (folder / file).write_bytes(data)


def added(*words: str, special: bool = False) -> Damage:
    """Tokens added to tokenizer.json after the last one."""

    def damage(folder: Path) -> None:
        path = folder / "tokenizer.json"
        found = json.loads(path.read_text(encoding="utf-8"))
        flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": special}
        size = len(found["model"]["vocab"])
        found["added_tokens"] += [{"id": size + n, "content": word, **flags} for n, word in enumerate(words)]
        path.write_text(json.dumps(found), encoding="utf-8")

    return damage


def splits_words(folder: Path) -> None:
    """A tokenizer.json that cuts text otherwise than any class of transformers does."""
    path = folder / "tokenizer.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    cut = pre_tokenizers.Sequence([pre_tokenizers.Punctuation(), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    found["pre_tokenizer"] = json.loads(cut.__getstate__())
    path.write_text(json.dumps(found), encoding="utf-8")


TRUNCATION = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
PADDING = {
    "strategy": {"Fixed": 64}, "direction": "Left", "pad_to_multiple_of": None, "pad_id": 1, "pad_type_id": 0,
    "pad_token": "</s>",
}  # fmt: skip
TOKENIZER, CONFIG = "tokenizer.json", "tokenizer_config.json"
NAMES = {"bos_token": None, "eos_token": None, "pad_token": None}

AS_TRANSFORMERS: dict[str, Damage] = {
    "as it is": lambda _: None,
    "truncation saved": entries(TOKENIZER, truncation=TRUNCATION),
    "padding saved": entries(TOKENIZER, padding=PADDING),
    "both saved": entries(TOKENIZER, padding=PADDING, truncation=TRUNCATION),
    "a short model_max_length": entries(CONFIG, model_max_length=4),
    "words added": added("Viktor quer", "fox jumps"),
    "a BOS asked for that the file does not add": entries(CONFIG, add_bos_token=True),
    "special tokens added": added("<|sep|>", special=True),
    "no BOS, no EOS": entries(CONFIG, **NAMES),
    "no class named": entries(CONFIG, tokenizer_class=None, backend=None),
    "an old class": entries(CONFIG, tokenizer_class="PreTrainedTokenizerFast", backend=None),
    "no tokenizer_config.json": lambda folder: (folder / CONFIG).unlink(),
    "vocabulary padded": entries("config.json", vocab_size=512),
    "no type of model": lambda folder: (folder / "config.json").write_text(json.dumps({"vocab_size": 400})),
}

NO_DEPTH = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
UNOPENED: dict[str, tuple[Damage, str]] = {
    "empty": (content(TOKENIZER, b"{}"), r"tokenizer\.json is no tokenizer"),
    "cut off": (content(TOKENIZER, b'{"model": '), r"tokenizer\.json is not JSON"),
    "not UTF-8": (content(TOKENIZER, b'{"a": "\xff"}'), r"tokenizer\.json is not UTF-8"),
    "nested": (content(TOKENIZER, NO_DEPTH), r"tokenizer\.json is nested too deeply"),
    "missing": (lambda folder: (folder / TOKENIZER).unlink(), r"has no tokenizer\.json"),
    "configuration cut off": (content(CONFIG, b'{"a"'), "transformers cannot open this tokenizer"),
    "remote code": (
        entries(CONFIG, auto_map={"AutoTokenizer": ["x.X", "x.X"]}, tokenizer_class="X"),
        "transformers cannot open this tokenizer",
    ),
    "BOS in words": (
        entries("config.json", bos_token_id="<s>"),
        r"transformers cannot open this tokenizer.*'bos_token_id' with value '<s>'",
    ),
    "BOS named but unknown": (
        entries(CONFIG, bos_token="<|begin|>"),
        r"bos_token of tokenizer_config\.json has token 340 \('<\|begin\|>'\).*embeddings for 340 tokens only",
    ),
    "EOS named but unknown": (entries(CONFIG, eos_token="<|end|>"), r"eos_token of .* has token 340"),
}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a small model with a tokenizer of its own."""
    folder = save_checkpoint(random_model("llama", vocab_size=VOCABULARY), tmp_path_factory.mktemp("good"))
    train_tokenizer(TEXTS * 20, VOCABULARY).save_pretrained(folder)
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture
def folder(good: dict[str, bytes], tmp_path: Path) -> Path:
    for name, data in good.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


@pytest.mark.parametrize("name", AS_TRANSFORMERS)
def test_text_has_the_tokens_that_transformers_gives_it(folder: Path, name: str) -> None:
    AS_TRANSFORMERS[name](folder)
    theirs = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    tokenizer = open_tokenizer(folder)
    tokenizer.require_agreement(TEXTS, "the text")
    for special in (False, True):
        ours = [encoding.ids for encoding in tokenizer.plain.encode_batch(TEXTS, add_special_tokens=special)]
        assert ours == [theirs(text, add_special_tokens=special)["input_ids"] for text in TEXTS]
    assert sum(map(len, ours)) > 60
    assert tokenizer.fast.decode(ours[1], skip_special_tokens=True) == TEXTS[1]


@pytest.mark.parametrize("name", ["truncation saved", "padding saved", "both saved"])
def test_windows_of_text_are_as_long_and_as_full_as_without(folder: Path, name: str) -> None:
    def windows() -> list[np.ndarray]:
        plain = open_tokenizer(folder).plain
        drawn, _ = long_document_windows(TEXTS, plain, 12, 3, "seed", "text")
        packed, _ = packed_windows(TEXTS, plain, (BOS, EOS), 20, 4, "text")
        return [drawn, packed]

    expected = windows()
    AS_TRANSFORMERS[name](folder)
    for found, wanted in zip(windows(), expected, strict=True):
        assert np.array_equal(found, wanted)


@pytest.mark.parametrize("name", UNOPENED)
def test_what_is_no_tokenizer_is_refused_in_one_sentence(folder: Path, name: str) -> None:
    damage, message = UNOPENED[name]
    damage(folder)
    with pytest.raises(UserError, match=message) as refused:
        open_tokenizer(folder)
    assert str(folder) in str(refused.value)
    assert "\n" not in str(refused.value)


DISAGREE: dict[str, tuple[Damage, str]] = {
    "a class with its own way to cut": (
        both(
            splits_words,
            entries("config.json", model_type="qwen2", architectures=["Qwen2ForCausalLM"]),
            entries(CONFIG, tokenizer_class="Qwen2Tokenizer", backend=None),
        ),
        r"from token \d+ on, transformers' Qwen2Tokenizer gives \[\d+, \d+, \d+\] \['.*tokenizer\.json \[\d+",
    ),
    "another class": (
        both(
            splits_words,
            entries("config.json", model_type="cohere"),
            entries(CONFIG, tokenizer_class="CohereTokenizer"),
        ),
        "transformers' CohereTokenizer gives",
    ),
}


@pytest.mark.parametrize("name", DISAGREE)
def test_two_tokenizers_in_one_folder_are_refused_with_the_tokens(folder: Path, name: str) -> None:
    damage, message = DISAGREE[name]
    damage(folder)
    tokenizer = open_tokenizer(folder)
    with pytest.raises(UserError, match=message):
        tokenizer.require_agreement(TEXTS, "the text")
    tokenizer.require_agreement([], "no text")


def test_a_bos_that_one_of_them_adds_is_a_difference_too(folder: Path) -> None:
    tokenizer = open_tokenizer(folder)
    processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", BOS)])
    tokenizer.plain.post_processor = processor  # type: ignore[misc]
    with pytest.raises(UserError, match=r"from token 0 on, .* gives \[0, \d+, \d+\] \['<s>'"):
        tokenizer.require_agreement(TEXTS, "the text")
    tokenizer.stored.post_processor = processor  # type: ignore[misc]
    tokenizer.require_agreement(TEXTS, "the text")


def test_a_token_beyond_the_embedding_is_refused_where_text_has_it(folder: Path) -> None:
    added("Viktor quer", "fox jumps")(folder)
    tokenizer = open_tokenizer(folder)

    def ids(text: str) -> list[int]:
        return tokenizer.plain.encode(text).ids

    tokenizer.require_embedded(ids("The dog"), "this")
    tokenizer.require_embedded([VOCABULARY - 1], "this")
    tokenizer.require_embedded([], "this")
    with pytest.raises(UserError) as refused:
        tokenizer.require_embedded(ids("The fox jumps"), "this")
    assert str(refused.value) == (
        f"this has token 341 ('fox jumps'), but the model of {folder} has embeddings for 340 tokens only, 0 to 339: "
        "its tokenizer, of 342 tokens, is another model's or was added to; bring the right one"
    )


CHATML = added("<|endoftext|>", "<|im_start|>", "<|im_end|>", special=True)
TEXT_END, TURN_START, TURN_END = 340, 341, 342
FRAMES: dict[str, tuple[Damage, dict[str, str], tuple[int | None, int | None]]] = {
    "both": (entries("config.json"), {}, (BOS, EOS)),
    "several EOS, as Llama-3.1: the first": (entries("config.json", eos_token_id=[EOS, 7, 8]), {}, (BOS, EOS)),
    "an empty list": (entries("config.json", eos_token_id=[]), {}, (BOS, None)),
    "BOS only": (entries("config.json", eos_token_id=None), {}, (BOS, None)),
    "EOS only": (entries("config.json", bos_token_id=None), {}, (None, EOS)),
    "neither": (entries("config.json", bos_token_id=None, eos_token_id=None), {}, (None, None)),
    "an end of turn that is no ChatML, as Aya's": (
        both(added("<|END_OF_TURN_TOKEN|>", special=True), entries("config.json", eos_token_id=340)), {}, (BOS, 340),
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
