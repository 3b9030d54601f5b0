"""The documents of a corpus in one language, generated or from the user's files, as one file."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from polyprune.corpora.collected import save_collected
from polyprune.settings.text import LocalCorpus


def collect_documents(corpus: LocalCorpus, language: str, output: Path, provenance: dict[str, Any]) -> None:
    """Write `output` (see `artifacts/corpus.py`).

    The module `corpora/from_{kind}.py` knows the source: `split_documents(corpus, language)` gives texts by split, and
    what to note of their origin.
    """
    source_of_kind = importlib.import_module(f"polyprune.corpora.from_{corpus.kind}")
    splits, source = source_of_kind.split_documents(corpus, language)
    save_collected(language, splits, source, output, provenance)
