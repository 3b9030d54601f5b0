"""Calibration shard of a model: token sequences in one language or a mix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from polyprune.artifacts.corpus import load_documents
from polyprune.artifacts.self_written import load_written
from polyprune.artifacts.tokens import TokenSet, save_tokens
from polyprune.corpora.windows import (
    bytes_per_token,
    long_document_windows,
    packed_pieces,
    packed_windows,
    random_windows,
    seeded_order,
)
from polyprune.errors import UserError
from polyprune.grammar.calibrations import CHAT, RANDOM, SELF, Calibration, parse_calibration
from polyprune.log import logger
from polyprune.model.chat import as_exchange, open_chat_tokenizer, render_accepted, template_digest
from polyprune.model.prompting import locate_prompting
from polyprune.model.source import locate, read_manifest
from polyprune.model.tokenizer import ModelTokenizer, open_tokenizer
from polyprune.provenance import file_digest


def build_calibration_set(
    model: Path,
    prompting: list[Path],
    corpus: list[Path],
    calibration: str,
    seed: int,
    sampling: Literal["long_documents", "packed"],
    n_sequences: int,
    sequence_length: int,
    framing: Literal["documents", "published"],
    bos: str,
    separator: str,
    others: dict[str, dict[str, Any]],
    output: Path,
    provenance: dict[str, Any],
) -> None:
    """Write `output` (see `artifacts/tokens.py`): `n_sequences`, of each term of the calibration its share.

    `prompting` is where the chat template of a calibration in chat is registered, else empty. `corpus` are the files of
    the terms, or the one that a model wrote. `sampling` is of the model's own corpus, `others[name]["sampling"]` of the
    corpus that a term names. `framing`, `bos` and `separator` say what stands around each document of packed text (see
    `settings.models.TextSettings`).
    A mix takes the first sequences of each of its languages' own shards, and a smaller number the first of a larger
    one, so shards of one seed share text.

    Raises:
        UserError: a term would have no sequence, or there is too little text; chat of a model without a template.
    """
    asked = parse_calibration(calibration)
    folder = locate_prompting(prompting[0], model) if asked.form == CHAT else locate(model)
    if reason := asked.why_not_of(n_sequences):
        raise UserError(f"calibration {calibration}: {reason}; raise `calibration_sequences`, now {n_sequences}")
    tokenizer = open_chat_tokenizer(folder) if asked.form == CHAT else open_tokenizer(folder)
    frame, around = tokenizer.framing(framing, bos, separator)
    chat = {"chat_template": template_digest(tokenizer.fast)} if asked.form == CHAT else {}
    parts, shares = [], {RANDOM: n_sequences} if not asked.terms else {}
    if not asked.terms:
        parts.append(random_windows(tokenizer.ordinary, sequence_length, n_sequences, f"{RANDOM}/{seed}"))
    texts = _texts(asked, corpus, {"calibration": calibration, "seed": seed})
    for term, n in zip(asked.terms, asked.sequences_of(n_sequences), strict=True):
        documents, name = texts[term.name]
        draw, shares[term.name] = f"{term.language}/{seed}", n
        tokenizer.require_agreement(documents, name)
        order = range(len(documents)) if asked.form == SELF else seeded_order(len(documents), draw)
        ordered = (documents[index] for index in order)
        drawn = (others[term.corpus]["sampling"] if term.corpus else sampling) == "long_documents"
        if asked.form == CHAT:
            found = packed_pieces(_exchanges(tokenizer, ordered, sequence_length), sequence_length, n, name)
        elif asked.form is None and drawn:
            found = long_document_windows(documents, tokenizer.plain, sequence_length, n, draw, name)
        else:
            found = packed_windows(ordered, tokenizer.plain, frame, sequence_length, n, name)
        tokenizer.require_embedded(found[0], name)
        parts.append(found)
    tokens, n_bytes = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    logger.info("%d sequences of %d tokens: %s", *tokens.shape, shares)
    metadata = (
        provenance
        | around
        | chat
        | {
            "framing": framing,
            "languages": list(asked.languages),
            "model_digest": read_manifest(model)["digest"],
            "tokenizer_digest": file_digest(folder / "tokenizer.json"),
            "sequences": shares,
        }
    )
    save_tokens(output, TokenSet(tokens, n_bytes, tokenizer.special(tokens, frame), metadata))


def _exchanges(
    tokenizer: ModelTokenizer, documents: Iterable[str], longest: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Tokens int32 and their UTF-8 bytes int32 of documents as exchanges (`as_exchange`), of `longest` tokens at most.

    What follows is cut off, as where each sequence is one conversation: a window from the middle of a long document
    would show nothing of the template.
    """
    for document in documents:
        rendered = render_accepted(tokenizer.fast, as_exchange(document))
        encoding = tokenizer.plain.encode(rendered, add_special_tokens=False)
        yield np.array(encoding.ids[:longest], np.int32), bytes_per_token(rendered, encoding)[:longest]


def _texts(asked: Calibration, corpus: list[Path], written: dict[str, Any]) -> dict[str, tuple[list[str], str]]:
    """Documents of each term, and what to call them."""
    if asked.form == SELF:
        return {name: (texts, f"text {corpus[0]}") for name, texts in load_written(corpus[0], written).items()}
    return {
        term.name: (load_documents(file, "calibration", {"language": term.language}), f"calibration text {file}")
        for term, file in zip(asked.terms, corpus, strict=True)
    }
