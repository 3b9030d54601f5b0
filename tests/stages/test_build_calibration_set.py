"""Calibration shards: equal shares, one draw a language and seed, and a header that identifies them."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from polyprune.artifacts.corpus import SPLITS, save_corpus
from polyprune.artifacts.tensors import save_arrays
from polyprune.artifacts.tokens import TokenSet, load_tokens
from polyprune.corpora.windows import seeded_order
from polyprune.errors import UserError
from polyprune.grammar.calibrations import CHAT, parse_calibration
from polyprune.model.prompting import write_prompting
from polyprune.model.source import write_manifest
from polyprune.stages.build_calibration_set import build_calibration_set

LENGTH, BOS, EOS = 16, 256, 257
LANGUAGES = {"de": "ä", "en": "e", "zh": "语"}


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """A token a byte, and two specials."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({char: index for index, char in enumerate(alphabet)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(["<s>", "</s>"])
    return made


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Path:
    """A model's manifest and folder, and a corpus in three languages whose texts say where they are from."""
    root = tmp_path_factory.mktemp("workplace")
    folder = root / "checkpoint"
    folder.mkdir()
    config = {"architectures": ["LlamaForCausalLM"], "bos_token_id": BOS, "eos_token_id": [EOS, 0]}
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer.save(str(folder / "tokenizer.json"))
    save_arrays(folder / "model.safetensors", "weights", {"a": np.zeros(1)}, {})
    write_manifest(root / "model.json", {"kind": "train"}, folder, {})
    write_prompting(root / "prompting.json", root / "model.json", folder, {}, {})
    for language, letter in LANGUAGES.items():
        documents = {
            split: [f"{split[0]}{number:02d}" + letter * (5 + number) for number in range(30)]
            for split in ("calibration", "evaluation")
        }
        save_corpus(root / f"{language}.parquet", documents, {"language": language})
    (root / "code").mkdir()
    documents = {split: [f"{split[0]}{number:02d}" + "x" * 40 for number in range(30)] for split in SPLITS}
    save_corpus(root / "code/en.parquet", documents, {"language": "en"})
    return root


def text(sampling: Literal["packed", "long_documents"] = "packed", n: int = 6, length: int = LENGTH) -> dict[str, Any]:
    counts = {"n_sequences": n, "sequence_length": length}
    return {"sampling": sampling, **counts, "framing": "documents", "bos": "model", "separator": "model", "others": {}}


def build(
    root: Path, output: Path, calibration: str, seed: int = 0, settings: dict[str, Any] | None = None
) -> TokenSet:
    found = parse_calibration(calibration)
    corpus = [root / (term.corpus or "") / f"{term.language}.parquet" for term in found.terms]
    prompting = [root / "prompting.json"] if found.form == CHAT else []
    asked = settings or text()
    build_calibration_set(
        root / "model.json", prompting, corpus, calibration, seed, output=output, provenance={"code": "abc"}, **asked
    )
    return load_tokens(output)


def test_what_stands_around_documents_is_what_the_settings_say(workplace: Path, tmp_path: Path):
    usual = build(workplace, tmp_path / "a", "en")
    none = build(workplace, tmp_path / "b", "en", settings=text() | {"bos": "none", "separator": "none"})
    turned = build(workplace, tmp_path / "c", "en", settings=text() | {"bos": "</s>", "separator": "<s>"})
    assert none.tokens.max() < BOS
    swapped = np.where(usual.tokens == BOS, EOS, np.where(usual.tokens == EOS, BOS, usual.tokens))
    assert {BOS, EOS} <= set(usual.tokens.flatten()) and np.array_equal(turned.tokens, swapped)
    long = text("long_documents")
    drawn = [
        build(workplace, tmp_path / name, "en", settings=long | {"bos": bos})
        for name, bos in (("d", "model"), ("e", "</s>"))
    ]
    assert np.array_equal(drawn[0].tokens, drawn[1].tokens), "the published loaders frame nothing"


def test_packed_sequences_are_the_documents_in_the_seeds_order(workplace: Path, tmp_path: Path, tokenizer: Tokenizer):
    made = build(workplace, tmp_path / "x", "zh", seed=3)
    joined: list[int] = []
    for number in seeded_order(30, "zh/3"):
        document = f"c{number:02d}" + "语" * (5 + number)
        joined += [BOS, *tokenizer.encode(document, add_special_tokens=False).ids, EOS]
    assert made.tokens.tolist() == np.reshape(joined[: 6 * LENGTH], (6, LENGTH)).tolist()
    assert made.n_bytes[made.tokens >= 256].tolist() == [0] * int((made.tokens >= 256).sum())


@pytest.mark.parametrize("sampling", ["packed", "long_documents"])
def test_no_text_of_evaluation_is_in_calibration(
    workplace: Path, tmp_path: Path, tokenizer: Tokenizer, sampling: Literal["packed", "long_documents"]
):
    made = build(workplace, tmp_path / "x", "en", settings=text(sampling))
    said = tokenizer.decode(made.tokens.flatten().tolist())
    assert set(said) <= set("ce0123456789")
    assert "c" in said if sampling == "packed" else "e" * 8 in said


@pytest.mark.parametrize("sampling", ["packed", "long_documents"])
def test_a_mix_is_the_beginning_of_each_languages_own_shard(
    workplace: Path, tmp_path: Path, sampling: Literal["packed", "long_documents"]
):
    alone = {
        language: build(workplace, tmp_path / language, language, 1, text(sampling, n=7)) for language in LANGUAGES
    }
    mix = build(workplace, tmp_path / "mix", "-".join(LANGUAGES), 1, text(sampling, n=7))
    shares = {"de": 3, "en": 2, "zh": 2}
    for name in ("tokens", "n_bytes"):
        parts = [getattr(alone[language], name)[:share] for language, share in shares.items()]
        assert np.array_equal(getattr(mix, name), np.concatenate(parts))
    assert mix.metadata["sequences"] == shares


def test_unequal_shares_and_smaller_numbers_are_beginnings_of_the_same_shards(workplace: Path, tmp_path: Path):
    alone = {language: build(workplace, tmp_path / language, language, 1, text(n=8)) for language in LANGUAGES}
    mix = build(workplace, tmp_path / "mix", "de12.5-en62.5-zh25", 1, text(n=8))
    parts = [alone[language].tokens[:share] for language, share in (("de", 1), ("en", 5), ("zh", 2))]
    assert np.array_equal(mix.tokens, np.concatenate(parts))
    assert mix.metadata["sequences"] == {"de": 1, "en": 5, "zh": 2}
    few = build(workplace, tmp_path / "few", "zh+n3", 1, text(n=3))
    assert np.array_equal(few.tokens, alone["zh"].tokens[:3])
    with pytest.raises(UserError, match=r"de1-en99: 'de' would have none of 8 sequences; raise"):
        build(workplace, tmp_path / "none", "de1-en99", 1, text(n=8))


def test_a_term_is_of_its_corpus_and_sampled_as_that_is(workplace: Path, tmp_path: Path, tokenizer: Tokenizer):
    elsewhere = text(n=6) | {"others": {"code": {"sampling": "long_documents"}}}
    made = build(workplace, tmp_path / "x", "en-en@code", settings=elsewhere)
    assert made.metadata["sequences"] == {"en": 3, "en@code": 3} and made.metadata["languages"] == ["en", "en"]
    assert np.array_equal(made.tokens[:3], build(workplace, tmp_path / "y", "en").tokens[:3])
    said = [tokenizer.decode(tokens) for tokens in made.tokens[3:].tolist()]
    assert all(set(each) <= set("cx0123456789") and "x" * 13 in each for each in said), "windows, with nothing around"
    packed = text(n=6) | {"others": {"code": {"sampling": "packed"}}}
    framed = build(workplace, tmp_path / "z", "en@code", settings=packed).tokens
    assert {BOS, EOS} <= set(framed.flatten())


BARE = {"bos": "none", "separator": "none"}


def test_chat_is_exchanges_in_the_models_template_cut_at_a_sequence_and_packed(workplace: Path, tmp_path: Path):
    with pytest.raises(UserError, match="has no chat template"):
        build(workplace, tmp_path / "x", "en+chat")
    root = tmp_path / "chatting"
    shutil.copytree(workplace, root)
    template = "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{{ eos_token }}"
    (root / "checkpoint/tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "TokenizersBackend", "bos_token": "<s>", "eos_token": "</s>"})
    )
    (root / "checkpoint/chat_template.jinja").write_text(template)
    write_manifest(root / "model.json", {"kind": "train"}, root / "checkpoint", {})
    write_prompting(root / "prompting.json", root / "model.json", root / "checkpoint", {}, {})
    length, documents = 48, ["one two three four", "x" * 50, "ab cdefgh"]
    save_corpus(root / "en.parquet", {"calibration": documents}, {"language": "en"})
    made = build(root, tmp_path / "x", "en+chat", settings=text("long_documents", n=2, length=length) | BARE)
    said = {
        0: b"[user]one two[assistant]three four",
        1: b"[user]" + b"x" * 25 + b"[assistant]" + b"x" * 25,
        2: b"[user]ab[assistant]cdefgh",
    }
    joined: list[int] = []
    tokenizer = Tokenizer.from_file(str(root / "checkpoint/tokenizer.json"))
    for number in seeded_order(3, "en/0"):
        body = tokenizer.encode(said[number].decode(), add_special_tokens=False).ids
        joined += [BOS, *body, EOS][:length]
    assert made.tokens.flatten().tolist() == joined[: 2 * length]
    assert made.special.sum() == sum(token >= BOS for token in joined[: 2 * length])
    assert len(made.metadata["chat_template"]) == 16 and made.metadata["around"] == [None, None]
    (root / "checkpoint/chat_template.jinja").write_text(template.replace("[", "<"))
    with pytest.raises(
        UserError, match=r"is not the model that .*prompting\.json registered: chat_template\.jinja has "
    ):
        build(root, tmp_path / "x", "en+chat")
    build(root, tmp_path / "x", "en", settings=text(n=2))


def test_random_tokens_are_ordinary_ones_drawn_alike(workplace: Path, tmp_path: Path):
    made = build(workplace, tmp_path / "x", "random", 2, settings=text(n=400))
    counts = np.bincount(made.tokens.flatten(), minlength=258)
    assert counts[256:].sum() == 0 and made.special.sum() == 0 and made.n_bytes.sum() == 0
    assert counts[:256].min() > 5 and counts[:256].max() < 60, "25 each on average"
    few = build(workplace, tmp_path / "y", "random+n3", 2, settings=text(n=3))
    assert np.array_equal(few.tokens, made.tokens[:3])
    assert few.metadata["sequences"] == {"random": 3} and few.metadata["languages"] == []
    other = build(workplace, tmp_path / "z", "random+n3", 3, settings=text(n=3))
    assert not np.array_equal(other.tokens, few.tokens)


@pytest.mark.parametrize("sampling", ["packed", "long_documents"])
def test_same_bytes_twice_and_other_tokens_for_another_seed(
    workplace: Path, tmp_path: Path, sampling: Literal["packed", "long_documents"]
):
    first = build(workplace, tmp_path / "a", "de", 0, text(sampling))
    build(workplace, tmp_path / "b", "de", 0, text(sampling))
    other = build(workplace, tmp_path / "c", "de", 1, text(sampling))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert not np.array_equal(first.tokens, other.tokens)


def test_the_header_identifies_model_tokenizer_and_settings(workplace: Path, tmp_path: Path):
    made = build(workplace, tmp_path / "x", "de-en")
    manifest = json.loads((workplace / "model.json").read_text())
    tokenizer_bytes = (workplace / "checkpoint" / "tokenizer.json").read_bytes()
    assert made.metadata == {
        "code": "abc",
        "model_digest": manifest["digest"],
        "tokenizer_digest": hashlib.sha256(tokenizer_bytes).hexdigest(),
        "sequences": {"de": 3, "en": 3},
        "languages": ["de", "en"],
        "framing": "documents",
        "around": ["<s>", "</s>"],
    }
    assert (made.tokens.dtype, made.n_bytes.dtype, made.tokens.shape) == (np.int32, np.int32, (6, LENGTH))


def test_too_little_text_is_refused_with_file_and_remedy(workplace: Path, tmp_path: Path):
    with pytest.raises(UserError) as refused:
        build(workplace, tmp_path / "x", "en", settings=text(n=100))
    assert str(refused.value) == (
        f"calibration text {workplace}/en.parquet: 30 documents give 735 tokens, 45 sequences of 16; 100 are wanted: "
        "bring more text, or ask for fewer or shorter sequences"
    )
    with pytest.raises(UserError, match=r"none of 30 documents has more than 200 tokens; set `sampling: packed`"):
        build(workplace, tmp_path / "x", "en", settings=text("long_documents", length=200))
    with pytest.raises(
        UserError, match="de-en-zh: a mix of 3 languages needs as many sequences; raise `calibration_seq"
    ):
        build(workplace, tmp_path / "x", "-".join(LANGUAGES), settings=text(n=2))
    assert not (tmp_path / "x").exists()
