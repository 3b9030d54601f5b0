"""From documents to token sequences of one length.

Two ways to sample calibration text (`sampling`):

* `long_documents`, the paper's (the published loaders of Wanda and SparseGPT): draw a document uniformly; draw again
  if it has no more tokens than the window; take a uniformly placed window. A document may come twice. Documents whose
  UTF-8 bytes prove them too short are not tokenised (`most_tokens`). The draws are the same either way.
* `packed`: the documents in an order drawn from the seed, joined and cut.

Evaluation text is packed in the order of the source, without a seed: every variant and seed sees the same. Packed
documents are framed, each by tokens before and after it, or joined as the published code of Wanda and SparseGPT joins
the text that it evaluates on: with a blank between them, and tokenised as one text.
Orders are drawn from SHA-256 and `random.Random`, whose streams are the same on every machine and Python version.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from random import Random

import numpy as np
from tokenizers import Encoding, Tokenizer

from polyprune.artifacts.tokens import Frame
from polyprune.errors import UserError

_BATCH = 256
_BLANK = " "
"""What the published code puts between documents."""


def seeded_order(n: int, seed: str) -> list[int]:
    """A permutation of 0..n-1: sorted by the SHA-256 of seed and index."""
    return sorted(range(n), key=lambda index: hashlib.sha256(f"{seed}/{index}".encode()).digest())


def bytes_per_token(text: str, encoding: Encoding) -> np.ndarray:
    """UTF-8 bytes that each token adds to the text covered so far, int32 (n_tokens,); 0 for special tokens."""
    ends = np.array([end for _, end in encoding.offsets], dtype=np.int64)
    ends[np.array(encoding.special_tokens_mask, dtype=bool)] = 0
    covered = np.maximum.accumulate(ends) if len(ends) else ends
    lengths = np.fromiter((len(char.encode()) for char in text), dtype=np.int64, count=len(text))
    bytes_before = np.concatenate([[0], np.cumsum(lengths)])
    return np.diff(bytes_before[covered], prepend=0).astype(np.int32)


def long_document_windows(
    documents: Sequence[str], tokenizer: Tokenizer, length: int, n: int, seed: str, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Tokens int32 and bytes int32, both (n, length), of random windows of random documents longer than `length`.

    Raises:
        UserError: no document is long enough; names `name` and the counts.
    """
    random = Random(seed)
    too_short: set[int] = set()
    encoded: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    tokens, n_bytes = np.empty((n, length), np.int32), np.empty((n, length), np.int32)
    accepted = 0
    while accepted < n:
        if len(too_short) == len(documents):
            raise UserError(
                f"{name}: none of {len(documents)} documents has more than {length} tokens; "
                "set `sampling: packed`, a shorter `sequence_length`, or bring longer documents"
            )
        index = random.randrange(len(documents))
        if index not in encoded and index not in too_short:
            text = documents[index]
            encoding = tokenizer.encode(text) if most_tokens(text, tokenizer) > length else None
            if encoding is None or len(encoding.ids) <= length:
                too_short.add(index)
            else:
                encoded[index] = (np.array(encoding.ids, np.int32), bytes_per_token(text, encoding))
        if index in too_short:
            continue
        ids, sizes = encoded[index]
        start = random.randint(0, len(ids) - length - 1)
        tokens[accepted], n_bytes[accepted] = ids[start : start + length], sizes[start : start + length]
        accepted += 1
    return tokens, n_bytes


def most_tokens(text: str, tokenizer: Tokenizer) -> int:
    """What a text has no more tokens than: one for each byte of the text as it is normalised, which may be longer than
    it was, special ones, and a blank that may be put before it.
    """
    normalised = tokenizer.normalizer.normalize_str(text) if tokenizer.normalizer else text
    return len(normalised.encode()) + tokenizer.num_special_tokens_to_add(is_pair=False) + 1


def packed_windows(
    documents: Iterable[str], tokenizer: Tokenizer, frame: Frame | None, length: int, n: int, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Tokens int32 and bytes int32, both (n, length): documents in a frame or, without one, joined; in order and cut.

    Raises:
        UserError: too little text; names `name` and the counts.
    """
    if frame is None:
        return _joined_windows(documents, tokenizer, length, n, name)
    return packed_pieces(_framed(documents, tokenizer, frame), length, n, name)


def _joined_windows(
    documents: Iterable[str], tokenizer: Tokenizer, length: int, n: int, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """As many documents are joined as fill the windows before the last of them begins: what follows changes nothing."""
    rest, texts, ids, sizes = iter(documents), [], np.empty(0, np.int32), np.empty(0, np.int32)
    while more := list(islice(rest, max(_BATCH, len(texts)))):
        texts += more
        text = _BLANK.join(texts)
        encoding = tokenizer.encode(text)
        ids, sizes = np.array(encoding.ids, np.int32), bytes_per_token(text, encoding)
        settled = sizes.cumsum() <= len(text.encode()) - len(texts[-1].encode())
        if settled.sum() >= n * length:
            break
    if len(ids) < n * length:
        raise _too_little(name, len(texts), len(ids), length, n)
    return ids[: n * length].reshape(n, length), sizes[: n * length].reshape(n, length)


def framed_length(text: str, tokenizer: Tokenizer, frame: Frame | None) -> int:
    """Tokens of a packed document with what stands around it; of one that is joined to others, those of its own."""
    return len(tokenizer.encode(text, add_special_tokens=False).ids) + sum(id is not None for id in frame or ())


def random_windows(ordinary: Sequence[int], length: int, n: int, seed: str) -> tuple[np.ndarray, np.ndarray]:
    """Tokens int32 (n, length), each drawn uniformly of `ordinary` ids, and no bytes: it is no text."""
    random = Random(seed)
    tokens = np.array([[random.choice(ordinary) for _ in range(length)] for _ in range(n)], np.int32)
    return tokens, np.zeros_like(tokens)


def packed_pieces(
    pieces: Iterable[tuple[np.ndarray, np.ndarray]], length: int, n: int, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Tokens int32 and bytes int32, both (n, length): pieces of tokens with their bytes, one after another, and cut.

    Raises:
        UserError: too little text; names `name` and the counts.
    """
    tokens, n_bytes = np.empty(n * length, np.int32), np.empty(n * length, np.int32)
    filled, used = 0, 0
    for ids, sizes in pieces:
        used += 1
        taken = min(len(ids), n * length - filled)
        tokens[filled : filled + taken], n_bytes[filled : filled + taken] = ids[:taken], sizes[:taken]
        filled += taken
        if filled == n * length:
            return tokens.reshape(n, length), n_bytes.reshape(n, length)
    raise _too_little(name, used, filled, length, n)


def _too_little(name: str, used: int, filled: int, length: int, n: int) -> UserError:
    return UserError(
        f"{name}: {used} documents give {filled:,} tokens, {filled // length} sequences of {length}; {n} are wanted: "
        "bring more text, or ask for fewer or shorter sequences"
    )


def all_packed_windows(documents: Iterable[str], tokenizer: Tokenizer, frame: Frame, length: int) -> np.ndarray:
    """Tokens int32 (n, length) of as many windows as the documents fill, in order; the rest is dropped."""
    tokens = np.concatenate([np.empty(0, np.int32), *(ids for ids, _ in _framed(documents, tokenizer, frame))])
    n = len(tokens) // length
    return tokens[: n * length].reshape(n, length)


def _framed(documents: Iterable[str], tokenizer: Tokenizer, frame: Frame) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    before, after = ([token] if token is not None else [] for token in frame)
    batch: list[str] = []

    def flush() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for text, encoding in zip(batch, tokenizer.encode_batch(batch, add_special_tokens=False), strict=True):
            sizes = bytes_per_token(text, encoding)
            ids = np.array([*before, *encoding.ids, *after], np.int32)
            yield ids, np.concatenate([[0] * len(before), sizes, [0] * len(after)]).astype(np.int32)
        batch.clear()

    for document in documents:
        batch.append(document)
        if len(batch) == _BATCH:
            yield from flush()
    yield from flush()
