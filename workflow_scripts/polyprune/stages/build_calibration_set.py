"""Calibration shard of a model: token sequences in one language or a mix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from polyprune.artifacts.corpus import load_documents
from polyprune.artifacts.tokens import TokenSet, save_tokens
from polyprune.corpora.windows import equal_shares, long_document_windows, packed_windows, seeded_order
from polyprune.log import logger
from polyprune.model.source import locate, read_config, read_manifest, special_tokens
from polyprune.provenance import file_digest
from polyprune.settings.models import TextSettings


def build_calibration_set(
    model: Path,
    corpus: list[Path],
    languages: list[str],
    seed: int,
    text: TextSettings,
    output: Path,
    provenance: dict[str, Any],
) -> None:
    """Write `output` (see `artifacts/tokens.py`): `text.calibration_sequences` in equal shares of `languages`.

    A mix takes the first sequences of each of its languages' own shards, so shards of one seed share text.
    """
    folder = locate(model)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    frame = special_tokens(read_config(folder))
    shares = equal_shares(text.calibration_sequences, languages)
    parts = []
    for language, file in zip(languages, corpus, strict=True):
        documents = load_documents(file, "calibration", {"language": language})
        draw, name = f"{language}/{seed}", f"calibration text {file}"
        if text.sampling == "long_documents":
            parts.append(
                long_document_windows(documents, tokenizer, text.sequence_length, shares[language], draw, name)
            )
        else:
            ordered = (documents[index] for index in seeded_order(len(documents), draw))
            parts.append(packed_windows(ordered, tokenizer, frame, text.sequence_length, shares[language], name))
    tokens, n_bytes = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    logger.info("%d sequences of %d tokens: %s", *tokens.shape, shares)
    metadata = provenance | {
        "model_digest": read_manifest(model)["digest"],
        "tokenizer_digest": file_digest(folder / "tokenizer.json"),
        "sequences": shares,
    }
    save_tokens(output, TokenSet(tokens, n_bytes, metadata))
