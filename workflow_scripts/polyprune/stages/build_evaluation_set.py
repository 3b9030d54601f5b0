"""Evaluation text of a model: the same token sequences for every variant and seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polyprune.artifacts.corpus import SCHEMA, load_documents
from polyprune.artifacts.tables import origin_of
from polyprune.artifacts.tokens import TokenSet, save_tokens
from polyprune.corpora.windows import packed_windows
from polyprune.log import logger
from polyprune.model.source import locate, read_manifest
from polyprune.model.tokenizer import open_tokenizer
from polyprune.provenance import file_digest

SPLIT = "evaluation"


def build_evaluation_set(
    model: Path,
    corpus: list[Path],
    n_sequences: int,
    sequence_length: int,
    bos: str,
    separator: str,
    output: list[Path],
    provenance: dict[str, Any],
) -> None:
    """Write one file a language (see `artifacts/tokens.py`), packed from the corpus's evaluation documents in order.

    `bos` and `separator` stand around each document (see `settings.models.TextSettings`).
    """
    folder = locate(model)
    tokenizer = open_tokenizer(folder)
    frame = tokenizer.frame(bos, separator)
    metadata = provenance | {
        "model_digest": read_manifest(model)["digest"],
        "tokenizer_digest": file_digest(folder / "tokenizer.json"),
        "split": SPLIT,
        "template": False,
        "content": "all tokens",
    }
    for source, target in zip(corpus, output, strict=True):
        about = {"corpus": source.parent.name, "language": source.stem}
        documents = load_documents(source, SPLIT, {"language": source.stem})
        name = f"evaluation text {source}"
        tokenizer.require_agreement(documents, name)
        tokens, n_bytes = packed_windows(documents, tokenizer.plain, frame, sequence_length, n_sequences, name)
        tokenizer.require_embedded(tokens, name)
        logger.info("%s: %d sequences of %d tokens, %.2f bytes a token", target.stem, *tokens.shape, n_bytes.mean())
        save_tokens(target, TokenSet(tokens, n_bytes, metadata | origin_of(source, SCHEMA) | about))
