"""Train a tiny model and its tokenizer on the training part of its corpus."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from polyprune.artifacts.atomic import share
from polyprune.artifacts.corpus import load_documents
from polyprune.corpora.windows import all_packed_windows
from polyprune.errors import UserError
from polyprune.log import logger
from polyprune.model.source import special_tokens, write_manifest
from polyprune.model.training import build_model, save_model, train, train_tokenizer
from polyprune.settings.models import Shape, TrainedSource


def train_model(
    corpus: list[Path],
    languages: list[str],
    source: TrainedSource,
    shape: Shape,
    output: Path,
    provenance: dict[str, Any],
) -> None:
    """Write `output` (manifest, see `model/source.py`) and the folder `checkpoint/` beside it."""
    documents = []
    for language, file in zip(languages, corpus, strict=True):
        texts = load_documents(file, "train", {"language": language})
        kept = texts[: max(1, round(len(texts) * source.outlier_languages.get(language, 1.0)))]
        if not kept:
            raise UserError(f"{file} has no training documents for {language}")
        logger.info("%s: %d training documents", language, len(kept))
        documents += kept
    tokenizer = train_tokenizer(documents, source.vocabulary)
    if len(tokenizer) != source.vocabulary:
        raise UserError(
            f"the training text gives a vocabulary of {len(tokenizer)}, config.yaml wants {source.vocabulary}: "
            "lower `vocabulary` (in source and shape) or bring more text"
        )
    fast: Tokenizer = tokenizer.backend_tokenizer
    model = build_model(source, shape)
    frame = special_tokens(model.config.to_dict())
    sequences = all_packed_windows(documents, fast, frame, source.sequence_length)
    logger.info("%d parameters, %d sequences of %d tokens", model.num_parameters(), *sequences.shape)
    if len(sequences) < source.batch_sequences:
        raise UserError(
            f"{len(sequences)} training sequences do not fill a batch of {source.batch_sequences}; bring more text"
        )
    train(model, torch.from_numpy(sequences).long(), source)
    folder = output.parent / "checkpoint"
    shutil.rmtree(folder, ignore_errors=True)
    save_model(model, tokenizer, folder)
    share(folder)
    write_manifest(output, {"kind": "train"}, folder, provenance)
