"""Evaluation text of a model: the same token sequences for every variant and seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from polyprune.artifacts.corpus import SCHEMA, load_documents
from polyprune.artifacts.tables import origin_of
from polyprune.artifacts.tokens import TokenSet, save_tokens
from polyprune.corpora.windows import packed_windows
from polyprune.log import logger
from polyprune.model.source import locate, read_config, read_manifest, special_tokens
from polyprune.provenance import file_digest
from polyprune.settings.models import TextSettings

SPLIT = "evaluation"


def build_evaluation_set(
    model: Path, corpus: list[Path], text: TextSettings, output: list[Path], provenance: dict[str, Any]
) -> None:
    """Write one file a language (see `artifacts/tokens.py`), packed from the corpus's evaluation documents in order."""
    folder = locate(model)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    frame = special_tokens(read_config(folder))
    metadata = provenance | {
        "model_digest": read_manifest(model)["digest"],
        "tokenizer_digest": file_digest(folder / "tokenizer.json"),
        "split": SPLIT,
        "template": False,
        "content": "all tokens",
    }
    for source, target in zip(corpus, output, strict=True):
        documents = load_documents(source, SPLIT, {"language": source.stem})
        tokens, n_bytes = packed_windows(
            documents, tokenizer, frame, text.sequence_length, text.evaluation_sequences, f"evaluation text {source}"
        )
        logger.info("%s: %d sequences of %d tokens, %.2f bytes a token", target.stem, *tokens.shape, n_bytes.mean())
        save_tokens(target, TokenSet(tokens, n_bytes, metadata | origin_of(source, SCHEMA) | {"language": source.stem}))
