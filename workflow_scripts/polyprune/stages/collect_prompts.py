"""The parallel prompts of one language, generated or from the user's file, as one file."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from polyprune.artifacts.prompts import save_prompts
from polyprune.log import logger
from polyprune.settings.text import LocalPrompts


def collect_prompts(prompts: LocalPrompts, language: str, output: Path, provenance: dict[str, Any]) -> None:
    """Write `output` (see `artifacts/prompts.py`).

    The module `corpora/from_{kind}.py` knows the source: `parallel_prompts(prompts, language)` gives the prompts, and
    what to note of their origin.
    """
    source_of_kind = importlib.import_module(f"polyprune.corpora.from_{prompts.kind}")
    collected, source = source_of_kind.parallel_prompts(prompts, language)
    logger.info("%s: %d prompts", language, len(collected))
    save_prompts(output, collected, provenance | source)
