"""Token windows: the published draws, exact packing, and bytes that add up to the text."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from polyprune.corpora import windows
from polyprune.corpora.windows import (
    all_packed_windows,
    bytes_per_token,
    long_document_windows,
    packed_windows,
    seeded_order,
)
from polyprune.errors import UserError

SCRIPTS = [
    "The quick brown fox jumps over the lazy dog.",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.",
    "نص حكيم له سر قاطع وذو شأن عظيم",
    "我能吞下玻璃而不伤身体。天地玄黄，宇宙洪荒。",
    "emoji 🙂 👩‍👩‍👧 🇩🇪 and e\u0301 combining",
    " leading, double  and trailing spaces \n\n",
    "Съешь ещё этих мягких французских булок",
]
BOS, EOS = 0, 1
GOLDEN_ORDER = [5, 7, 6, 2, 8, 4, 1, 3, 0, 9]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """Byte-level BPE small enough that characters of many scripts are several tokens; adds <s> at the front."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=["<s>", "</s>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )  # fmt: skip
    made.train_from_iterator(SCRIPTS, trainer)
    made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", BOS)])
    return made


def text_of(tokenizer: Tokenizer, ids: np.ndarray) -> bytes:
    """The bytes that byte-level tokens stand for, specials left out."""
    decode = {char: byte for byte, char in _byte_alphabet().items()}
    pieces = [tokenizer.id_to_token(int(token)) or "" for token in ids if token not in (BOS, EOS)]
    return bytes(decode[char] for piece in pieces for char in piece)


def _byte_alphabet() -> dict[int, str]:
    """GPT-2's printable character of every byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}


# ---- orders


def test_a_seeded_order_is_a_permutation_that_never_changes():
    assert seeded_order(10, "de/0") == GOLDEN_ORDER
    assert sorted(seeded_order(1000, "de/0")) == list(range(1000))
    assert seeded_order(10, "de/1") != seeded_order(10, "de/0")
    assert seeded_order(10, "en/0") != seeded_order(10, "de/0")
    assert seeded_order(0, "de/0") == []


def test_a_longer_source_keeps_the_order_of_the_documents_it_had():
    assert [index for index in seeded_order(1000, "de/0") if index < 10] == seeded_order(10, "de/0")


# ---- bytes


@pytest.mark.parametrize("text", [*SCRIPTS, "", "🙂", "语", "a"])
def test_bytes_of_the_tokens_add_up_to_the_text(text: str, tokenizer: Tokenizer):
    encoding = tokenizer.encode(text)
    sizes = bytes_per_token(text, encoding)
    assert sizes.dtype == np.int32
    assert sizes.shape == (len(encoding.ids),)
    assert sizes.sum() == len(text.encode())
    assert sizes[0] == 0, "a special token adds no text"
    assert (sizes >= 0).all()


@pytest.mark.parametrize("n", [32_766, 32_768, 40_000, 70_000])
def test_a_token_may_cover_more_bytes_than_16_bits_count(n: int):
    """A tokenizer that drops white space gives all of it to the next token."""
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "b": 1, "?": 2}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    text = "a" + " " * n + "b"
    assert bytes_per_token(text, tokenizer.encode(text)).tolist() == [1, n + 1]
    _, sizes = packed_windows([text], tokenizer, (None, None), 2, 1, "text")
    assert sizes.tolist() == [[1, n + 1]]


def test_bytes_of_every_prefix_cover_the_characters_begun_so_far(tokenizer: Tokenizer):
    for text in SCRIPTS:
        encoding = tokenizer.encode(text, add_special_tokens=False)
        covered = np.cumsum(bytes_per_token(text, encoding))
        written = np.cumsum([len(text_of(tokenizer, np.array([token]))) for token in encoding.ids])
        ends = np.cumsum([len(char.encode()) for char in text])
        expected = [ends[np.searchsorted(ends, count)] for count in written]
        assert covered.tolist() == expected


def test_bytes_of_a_character_in_several_tokens_count_at_the_first(tokenizer: Tokenizer):
    encoding = tokenizer.encode("🙃", add_special_tokens=False)
    assert len(encoding.ids) > 1
    assert bytes_per_token("🙃", encoding).tolist() == [4] + [0] * (len(encoding.ids) - 1)


def test_special_tokens_at_the_end_add_no_bytes(tokenizer: Tokenizer):
    both = Tokenizer.from_str(tokenizer.to_str())
    both.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", BOS), ("</s>", EOS)]
    )
    sizes = bytes_per_token("语言", both.encode("语言"))
    assert (sizes[0], sizes[-1], sizes.sum()) == (0, 0, 6)


# ---- long documents


def documents(n: int, seed: int = 0) -> list[str]:
    """Documents of very different lengths."""
    random = Random(seed)
    return [" ".join(random.choices(SCRIPTS, k=random.randint(1, 12))) for _ in range(n)]


def published_windows(texts: list[str], tokenizer: Tokenizer, length: int, n: int, seed: str) -> np.ndarray:
    """The loader of Wanda and SparseGPT, which tokenises whatever it draws."""
    random, chosen = Random(seed), []
    for _ in range(n):
        while True:
            ids = tokenizer.encode(texts[random.randint(0, len(texts) - 1)]).ids
            if len(ids) > length:
                break
        start = random.randint(0, len(ids) - length - 1)
        chosen.append(ids[start : start + length])
    return np.array(chosen, np.int32)


@pytest.mark.parametrize("length", [5, 150, 240])
@pytest.mark.parametrize("seed", ["de/0", "de/1"])
def test_windows_are_the_draws_of_the_published_loader(length: int, seed: str, tokenizer: Tokenizer):
    texts = documents(40)
    tokens, n_bytes = long_document_windows(texts, tokenizer, length, 12, seed, "x")
    assert tokens.dtype == np.int32
    assert n_bytes.dtype == np.int32
    assert np.array_equal(tokens, published_windows(texts, tokenizer, length, 12, seed))
    for ids, sizes in zip(tokens, n_bytes, strict=True):
        assert abs(int(sizes.sum()) - len(text_of(tokenizer, ids))) <= 6, "within the characters cut at both ends"


def test_bytes_of_a_window_are_those_of_its_place_in_the_document(tokenizer: Tokenizer):
    text = " ".join(SCRIPTS)
    encoding = tokenizer.encode(text)
    whole, ids = bytes_per_token(text, encoding), np.array(encoding.ids)
    tokens, n_bytes = long_document_windows([text], tokenizer, 60, 10, "s", "x")
    starts = {tuple(ids[start : start + 60].tolist()): start for start in range(len(ids) - 60)}
    for window, sizes in zip(tokens, n_bytes, strict=True):
        start = starts[tuple(window.tolist())]
        assert sizes.tolist() == whole[start : start + 60].tolist()
    assert len({tuple(window.tolist()) for window in tokens}) > 1


def test_a_document_must_be_longer_than_the_window(tokenizer: Tokenizer):
    text = SCRIPTS[0]
    length = len(tokenizer.encode(text).ids)
    tokens, _ = long_document_windows([text], tokenizer, length - 1, 2, "s", "x")
    assert tokens.tolist() == [tokenizer.encode(text).ids[: length - 1]] * 2
    with pytest.raises(UserError):
        long_document_windows([text], tokenizer, length, 2, "s", "x")


def test_special_tokens_count_where_every_byte_is_a_token(tokenizer: Tokenizer):
    text = "\x01" * 20
    assert len(tokenizer.encode(text).ids) == 21
    tokens, n_bytes = long_document_windows([text], tokenizer, 20, 1, "s", "x")
    assert tokens[0, 0] == BOS
    assert n_bytes.tolist() == [[0] + [1] * 19]


@pytest.mark.parametrize(("character", "tokens_each"), [("ﷺ", 18), ("½", 3), ("a", 1)])
def test_a_document_is_as_long_as_what_its_tokenizer_makes_of_it(character: str, tokens_each: int):
    """One character may be normalised to eighteen, which are more tokens than it had bytes; a blank may come before."""
    made = Tokenizer(models.WordLevel({"[x]": 0}, unk_token="[x]"))
    made.normalizer = normalizers.NFKC()  # type: ignore[assignment]
    made.pre_tokenizer = pre_tokenizers.Sequence(  # type: ignore[assignment]
        [pre_tokenizers.Metaspace(), pre_tokenizers.Split("", "isolated")]
    )
    text = character * 20
    length = len(made.encode(text).ids)
    assert length == 20 * tokens_each + 1
    tokens, _ = long_document_windows([text], made, length - 1, 2, "s", "x")
    assert tokens.shape == (2, length - 1)


def test_documents_whose_bytes_prove_them_short_are_not_tokenised(tokenizer: Tokenizer):
    class Counting:
        normalizer = None
        seen: list[str] = []  # noqa: RUF012

        def encode(self, text: str):
            self.seen.append(text)
            return tokenizer.encode(text)

        def num_special_tokens_to_add(self, is_pair: bool) -> int:
            return tokenizer.num_special_tokens_to_add(is_pair)

    texts = ["short", "a" * 50, " ".join(SCRIPTS * 3)]
    long_document_windows(texts, Counting(), 100, 30, "s", "x")  # pyright: ignore[reportArgumentType]
    assert Counting.seen == [texts[2]], "and the long one once"


@pytest.mark.parametrize("n", [0, 3])
def test_none_long_enough_is_refused_with_the_counts(n: int, tokenizer: Tokenizer):
    with pytest.raises(UserError) as refused:
        long_document_windows(SCRIPTS[:n], tokenizer, 500, 2, "s", "calibration text de.parquet")
    assert str(refused.value) == (
        f"calibration text de.parquet: none of {n} documents has more than 500 tokens; "
        "set `sampling: packed`, a shorter `sequence_length`, or bring longer documents"
    )


def test_the_share_of_a_mix_is_the_beginning_of_the_language_alone(tokenizer: Tokenizer):
    texts = documents(30)
    few, few_bytes = long_document_windows(texts, tokenizer, 50, 3, "de/0", "x")
    many, many_bytes = long_document_windows(texts, tokenizer, 50, 9, "de/0", "x")
    assert np.array_equal(few, many[:3])
    assert np.array_equal(few_bytes, many_bytes[:3])


# ---- packing


@pytest.mark.parametrize("frame", [(BOS, EOS), (BOS, None), (None, EOS), (None, None)])
@pytest.mark.parametrize("batch", [1, 3, 256])
def test_packing_is_joining_and_cutting(
    frame: tuple[int | None, int | None], batch: int, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(windows, "_BATCH", batch)
    texts = documents(7)
    before, after = ([token] if token is not None else [] for token in frame)
    ids, sizes = [], []
    for text in texts:
        encoding = tokenizer.encode(text, add_special_tokens=False)
        ids += [*before, *encoding.ids, *after]
        sizes += [*(0 for _ in before), *bytes_per_token(text, encoding).tolist(), *(0 for _ in after)]
    n = len(ids) // 64
    tokens, n_bytes = packed_windows(iter(texts), tokenizer, frame, 64, n, "x")
    assert (tokens.dtype, n_bytes.dtype) == (np.int32, np.int32)
    assert tokens.tolist() == np.reshape(ids[: n * 64], (n, 64)).tolist()
    assert n_bytes.tolist() == np.reshape(sizes[: n * 64], (n, 64)).tolist()
    assert np.array_equal(all_packed_windows(iter(texts), tokenizer, frame, 64), tokens)
    fewer, _ = packed_windows(iter(texts), tokenizer, frame, 64, 2, "x")
    assert np.array_equal(fewer, tokens[:2])
    with pytest.raises(UserError) as refused:
        packed_windows(iter(texts), tokenizer, frame, 64, n + 1, "evaluation text de.parquet")
    assert str(refused.value) == (
        f"evaluation text de.parquet: 7 documents give {len(ids):,} tokens, {n} sequences of 64; {n + 1} are wanted: "
        "bring more text, or ask for fewer or shorter sequences"
    )


def test_text_that_fills_the_sequences_exactly_is_enough(tokenizer: Tokenizer):
    n_tokens = len(tokenizer.encode(SCRIPTS[1], add_special_tokens=False).ids)
    tokens, n_bytes = packed_windows([SCRIPTS[1]], tokenizer, (None, None), n_tokens, 1, "x")
    assert text_of(tokenizer, tokens[0]).decode() == SCRIPTS[1]
    assert n_bytes.sum() == len(SCRIPTS[1].encode())


def test_no_documents_fill_no_window(tokenizer: Tokenizer):
    assert all_packed_windows([], tokenizer, (BOS, EOS), 64).shape == (0, 64)
    with pytest.raises(UserError, match="0 documents give 0 tokens, 0 sequences of 64; 1 are wanted"):
        packed_windows([], tokenizer, (BOS, EOS), 64, 1, "x")
