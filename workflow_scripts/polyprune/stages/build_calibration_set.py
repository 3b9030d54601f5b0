"""Calibration shard of a model: token sequences in one language or a mix."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from polyprune.artifacts.corpus import load_documents
from polyprune.artifacts.tokens import TokenSet, save_tokens
from polyprune.corpora.windows import long_document_windows, packed_windows, seeded_order
from polyprune.errors import UserError
from polyprune.grammar.calibrations import parse_calibration
from polyprune.log import logger
from polyprune.model.source import locate, read_manifest
from polyprune.model.tokenizer import open_tokenizer
from polyprune.provenance import file_digest


def build_calibration_set(
    model: Path,
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

    `corpus` are the files of the terms. `sampling` is of the model's own corpus, `others[name]["sampling"]` of the
    corpus that a term names. `framing`, `bos` and `separator` say what stands around each document of packed text (see
    `settings.models.TextSettings`).
    A mix takes the first sequences of each of its languages' own shards, and a smaller number the first of a larger
    one, so shards of one seed share text.

    Raises:
        UserError: a term would have no sequence, or there is too little text.
    """
    folder = locate(model)
    tokenizer = open_tokenizer(folder)
    asked = parse_calibration(calibration)
    if reason := asked.why_not_of(n_sequences):
        raise UserError(f"calibration {calibration}: {reason}; raise `calibration_sequences`, now {n_sequences}")
    shares = {term.name: n for term, n in zip(asked.terms, asked.sequences_of(n_sequences), strict=True)}
    frame, around = tokenizer.framing(framing, bos, separator)
    parts = []
    for term, file in zip(asked.terms, corpus, strict=True):
        documents = load_documents(file, "calibration", {"language": term.language})
        draw, name, n = f"{term.language}/{seed}", f"calibration text {file}", shares[term.name]
        tokenizer.require_agreement(documents, name)
        if (others[term.corpus]["sampling"] if term.corpus else sampling) == "long_documents":
            found = long_document_windows(documents, tokenizer.plain, sequence_length, n, draw, name)
        else:
            ordered = (documents[index] for index in seeded_order(len(documents), draw))
            found = packed_windows(ordered, tokenizer.plain, frame, sequence_length, n, name)
        tokenizer.require_embedded(found[0], name)
        parts.append(found)
    tokens, n_bytes = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    logger.info("%d sequences of %d tokens: %s", *tokens.shape, shares)
    metadata = (
        provenance
        | around
        | {
            "framing": framing,
            "languages": list(asked.languages),
            "model_digest": read_manifest(model)["digest"],
            "tokenizer_digest": file_digest(folder / "tokenizer.json"),
            "sequences": shares,
        }
    )
    save_tokens(output, TokenSet(tokens, n_bytes, tokenizer.special(tokens, frame), metadata))
