"""One language of a corpus of translation memories, from the web or the user's copies, as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polyprune.corpora.collected import save_collected
from polyprune.corpora.from_tmx import split_documents
from polyprune.settings.text import TmxCorpus


def fetch_translations(corpus: TmxCorpus, language: str, output: Path, provenance: dict[str, Any]) -> None:
    """Write `output` (see `artifacts/corpus.py`)."""
    splits, source = split_documents(corpus, language)
    save_collected(language, splits, source, output, provenance)
