"""The documents of a corpus in one language, from wherever they come, as one file."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from polyprune.artifacts.corpus import save_corpus
from polyprune.log import logger
from polyprune.settings import Corpus


def collect_documents(corpus: Corpus, language: str, output: Path, provenance: dict[str, Any]) -> None:
    """Write `output` (see `artifacts/corpus.py`).

    The module `corpora/from_{kind}.py` knows the source: `split_documents(corpus, language)` gives texts by split,
    and what to note of their origin. Texts of training and calibration that evaluation also has, word for word, are
    left out.
    """
    source_of_kind = importlib.import_module(f"polyprune.corpora.from_{corpus.kind}")
    splits, source = source_of_kind.split_documents(corpus, language)
    held_out = set(splits["evaluation"])
    for split in ("train", "calibration"):
        documents = splits.get(split, [])
        splits[split] = [text for text in documents if text not in held_out]
        if dropped := len(documents) - len(splits[split]):
            logger.info("%s: %d of %d documents left out: evaluation has them too", split, dropped, len(documents))
    counts = {split: len(documents) for split, documents in splits.items()}
    logger.info("%s: %s", language, ", ".join(f"{count} {split}" for split, count in counts.items()))
    save_corpus(output, splits, provenance | source | {"documents": counts})
