"""Calibration shard of a model: token sequences in one language or a mix."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from polyprune.artifacts.corpus import load_documents
from polyprune.artifacts.tokens import TokenSet, save_tokens
from polyprune.corpora.windows import equal_shares, long_document_windows, packed_windows, seeded_order
from polyprune.log import logger
from polyprune.model.source import locate, read_manifest
from polyprune.model.tokenizer import open_tokenizer
from polyprune.provenance import file_digest


def build_calibration_set(
    model: Path,
    corpus: list[Path],
    languages: list[str],
    seed: int,
    sampling: Literal["long_documents", "packed"],
    n_sequences: int,
    sequence_length: int,
    bos: str,
    separator: str,
    output: Path,
    provenance: dict[str, Any],
) -> None:
    """Write `output` (see `artifacts/tokens.py`): `n_sequences` in equal shares of `languages`.

    `bos` and `separator` stand around each document of packed text (see `settings.models.TextSettings`).
    A mix takes the first sequences of each of its languages' own shards, so shards of one seed share text.
    """
    folder = locate(model)
    tokenizer = open_tokenizer(folder)
    shares = equal_shares(n_sequences, languages)
    parts = []
    for language, file in zip(languages, corpus, strict=True):
        documents = load_documents(file, "calibration", {"language": language})
        draw, name = f"{language}/{seed}", f"calibration text {file}"
        tokenizer.require_agreement(documents, name)
        if sampling == "long_documents":
            found = long_document_windows(documents, tokenizer.plain, sequence_length, shares[language], draw, name)
        else:
            ordered = (documents[index] for index in seeded_order(len(documents), draw))
            frame = tokenizer.frame(bos, separator)
            found = packed_windows(ordered, tokenizer.plain, frame, sequence_length, shares[language], name)
        tokenizer.require_embedded(found[0], name)
        parts.append(found)
    tokens, n_bytes = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    logger.info("%d sequences of %d tokens: %s", *tokens.shape, shares)
    metadata = provenance | {
        "model_digest": read_manifest(model)["digest"],
        "tokenizer_digest": file_digest(folder / "tokenizer.json"),
        "sequences": shares,
    }
    save_tokens(output, TokenSet(tokens, n_bytes, metadata))
