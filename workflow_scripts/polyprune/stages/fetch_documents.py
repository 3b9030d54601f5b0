"""The documents of a hub corpus in one language, at the commit that the lock file says, as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polyprune.corpora.collected import save_collected
from polyprune.corpora.from_hub import split_documents
from polyprune.settings.text import HubCorpus


def fetch_documents(corpus: HubCorpus, language: str, output: Path, provenance: dict[str, Any]) -> None:
    """Write `output` (see `artifacts/corpus.py`)."""
    splits, source = split_documents(corpus, language)
    save_collected(language, splits, source, output, provenance)
