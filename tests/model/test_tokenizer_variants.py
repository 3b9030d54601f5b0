"""Tokenizers as people have them: opened as transformers opens them, or refused in one sentence.

A row of the tables is a name, what is done to a good folder, and the verdict.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.helpers.damages import Damage, both, content, entries
from tests.helpers.tokenizers import (
    BOS,
    CONFIG,
    EOS,
    TEXTS,
    TOKENIZER,
    VOCABULARY,
    added,
)
from tokenizers import pre_tokenizers
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer

from polyprune.corpora.windows import long_document_windows, packed_windows
from polyprune.errors import UserError
from polyprune.model.tokenizer import open_tokenizer
from polyprune.provenance import PACKAGE


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


OPENED = """
import json, sys
from pathlib import Path
from polyprune.running.tokenizers_only import leave_torch_out
if sys.argv[1] == "cold":
    leave_torch_out("build_calibration_set")
from polyprune.errors import UserError
from polyprune.model.tokenizer import open_tokenizer
found = {}
for folder in sorted(Path().iterdir()):
    try:
        tokenizer = open_tokenizer(folder)
        ids = [tokenizer.fast(text)["input_ids"] for text in json.loads(sys.argv[2])]
        found[folder.name] = ids, [each.ids for each in tokenizer.plain.encode_batch(json.loads(sys.argv[2]))]
    except UserError as error:
        found[folder.name] = str(error)
print(json.dumps([bool(sys.modules.get("torch")), found]))
"""
"""What a process makes of the folders where it is, with torch and without."""


def test_a_tokenizer_is_the_same_where_torch_is_left_out(files_of_a_model: dict[str, bytes], tmp_path: Path) -> None:
    damages = AS_TRANSFORMERS | {name: damage for name, (damage, _) in UNOPENED.items()}
    for name, damage in damages.items():
        (tmp_path / name).mkdir()
        for file, data in files_of_a_model.items():
            (tmp_path / name / file).write_bytes(data)
        damage(tmp_path / name)
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent), "HF_HUB_OFFLINE": "1"}
    words = [sys.executable, "-c", OPENED]
    runs = {
        kind: subprocess.run([*words, kind, json.dumps(TEXTS)], cwd=tmp_path, env=environment, capture_output=True)
        for kind in ("cold", "warm")
    }
    assert runs["cold"].stderr == runs["warm"].stderr
    (torch_in_cold, cold), (torch_in_warm, warm) = (json.loads(run.stdout) for run in runs.values())
    assert torch_in_warm and not torch_in_cold
    assert cold == warm
    assert [name for name, found in cold.items() if isinstance(found, str)] == sorted(UNOPENED)


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
