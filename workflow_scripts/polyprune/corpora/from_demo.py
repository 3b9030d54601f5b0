"""The demo corpus as splits."""

from __future__ import annotations

from polyprune.corpora.demo import demo_documents
from polyprune.settings import DemoCorpus


def split_documents(corpus: DemoCorpus, language: str) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Generated documents: each split is a stream of its own, seeded by its name; the source is the code."""
    counts = corpus.documents.model_dump()
    return {split: list(demo_documents(language, split, n)) for split, n in counts.items()}, {"dataset": "generated"}
