"""The documents of a corpus in one language, from wherever they come, as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polyprune.artifacts.corpus import save_corpus
from polyprune.corpora.files import split_file_documents
from polyprune.corpora.generated import split_demo_documents
from polyprune.corpora.hosted import split_hub_documents
from polyprune.log import logger
from polyprune.settings import Corpus, DemoCorpus, FilesCorpus, HubCorpus


def collect_documents(corpus: Corpus, language: str, output: Path, provenance: dict[str, Any]) -> None:
    """Write `output` (see `artifacts/corpus.py`).

    Texts of training and calibration that evaluation also has, word for word, are left out.
    """
    match corpus:
        case DemoCorpus():
            splits, source = split_demo_documents(corpus, language), {}
        case FilesCorpus():
            splits, source = split_file_documents(corpus, language), {}
        case HubCorpus():
            splits, revision = split_hub_documents(corpus, language)
            source = {"revision": revision}
    held_out = set(splits["evaluation"])
    for split in ("train", "calibration"):
        documents = splits.get(split, [])
        splits[split] = [text for text in documents if text not in held_out]
        if dropped := len(documents) - len(splits[split]):
            logger.info("%s: %d of %d documents left out: evaluation has them too", split, dropped, len(documents))
    counts = {split: len(documents) for split, documents in splits.items()}
    logger.info("%s: %s", language, ", ".join(f"{count} {split}" for split, count in counts.items()))
    save_corpus(output, splits, provenance | source | {"documents": counts})
