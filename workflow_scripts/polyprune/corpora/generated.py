"""The demo corpus as splits."""

from __future__ import annotations

from polyprune.corpora.demo import demo_documents
from polyprune.settings import DemoCorpus


def split_demo_documents(corpus: DemoCorpus, language: str) -> dict[str, list[str]]:
    """Generated documents: each split is a stream of its own, seeded by its name."""
    counts = corpus.documents.model_dump()
    return {split: list(demo_documents(language, split, n)) for split, n in counts.items()}
