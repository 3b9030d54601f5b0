"""Evaluation text: packed in order, without a seed, one file a language."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from polyprune.artifacts.corpus import save_corpus
from polyprune.artifacts.tensors import save_arrays
from polyprune.artifacts.tokens import load_tokens
from polyprune.errors import UserError
from polyprune.model.source import write_manifest
from polyprune.stages.build_evaluation_set import build_evaluation_set

LENGTH, BOS = 16, 256
DOCUMENTS = {
    "de": [f"e{number}" + "ü" * 9 for number in range(9)],
    "en": [f"e{number}" + "o" * 20 for number in range(9)],
}


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A model that frames documents by BOS only, and a corpus in two languages."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({char: index for index, char in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<s>"])
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"architectures": ["X"], "bos_token_id": BOS, "eos_token_id": None}))
    tokenizer.save(str(folder / "tokenizer.json"))
    save_arrays(folder / "model.safetensors", "weights", {"a": np.zeros(1)}, {})
    write_manifest(tmp_path / "model.json", {"kind": "train"}, folder, {})
    for language, texts in DOCUMENTS.items():
        splits = {"evaluation": texts, "calibration": ["calibration"] * 50}
        about = {"code": "x", "language": language, "dataset": "org/web", "revision": "f" * 40}
        save_corpus(tmp_path / f"{language}.parquet", splits, about)
    return tmp_path


def build(root: Path, folder: Path, n: int = 5, bos: str = "model", separator: str = "model") -> list[Path]:
    outputs = [folder / f"{language}.safetensors" for language in DOCUMENTS]
    corpus = [root / f"{language}.parquet" for language in DOCUMENTS]
    build_evaluation_set(root / "model.json", corpus, n, LENGTH, bos, separator, outputs, {"code": "abc"})
    return outputs


def test_documents_are_joined_in_order_whatever_the_sampling_of_calibration(workplace: Path):
    tokenizer = Tokenizer.from_file(str(workplace / "checkpoint" / "tokenizer.json"))
    for output, texts in zip(build(workplace, workplace / "a"), DOCUMENTS.values(), strict=True):
        joined = [token for text in texts for token in (BOS, *tokenizer.encode(text).ids)][: 5 * LENGTH]
        made = load_tokens(output)
        assert made.tokens.flatten().tolist() == joined
        said = tokenizer.decode(joined)
        assert said.startswith(texts[0] + texts[1])
        assert "c" not in said, "no text of calibration"
        assert 0 <= len(said.encode()) - int(made.n_bytes.sum()) + 1 <= 4


def test_what_stands_around_documents_is_what_the_settings_say(workplace: Path):
    for output in build(workplace, workplace / "a", bos="none", separator="<s>"):
        tokens = load_tokens(output).tokens.flatten()
        assert tokens[0] != BOS and BOS in tokens
    with pytest.raises(UserError, match=r"text\.separator is '</s>', which the tokenizer of .* does not have"):
        build(workplace, workplace / "b", separator="</s>")


def test_the_header_says_data_set_language_model_and_tokenizer(workplace: Path):
    tokenizer_bytes = (workplace / "checkpoint" / "tokenizer.json").read_bytes()
    for output, language in zip(build(workplace, workplace / "a"), DOCUMENTS, strict=True):
        assert load_tokens(output).metadata == {
            "code": "abc",
            "dataset": "org/web",
            "revision": "f" * 40,
            "corpus": workplace.name,
            "split": "evaluation",
            "language": language,
            "template": False,
            "content": "all tokens",
            "model_digest": json.loads((workplace / "model.json").read_text())["digest"],
            "tokenizer_digest": hashlib.sha256(tokenizer_bytes).hexdigest(),
        }


def test_same_bytes_twice(workplace: Path):
    for first, second in zip(build(workplace, workplace / "a"), build(workplace, workplace / "b"), strict=True):
        assert first.read_bytes() == second.read_bytes()


def test_too_little_text_is_refused_with_the_file(workplace: Path):
    with pytest.raises(UserError) as refused:
        build(workplace, workplace / "a", n=13)
    assert str(refused.value) == (
        f"evaluation text {workplace}/de.parquet: 9 documents give 189 tokens, 11 sequences of 16; 13 are wanted: "
        "bring more text, or ask for fewer or shorter sequences"
    )
