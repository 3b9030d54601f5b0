"""The parallel prompts of one language from the hub, at the commit that the lock file says, as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polyprune.artifacts.prompts import save_prompts
from polyprune.corpora.from_hub import parallel_prompts
from polyprune.log import logger
from polyprune.settings.text import HubPrompts


def fetch_prompts(prompts: HubPrompts, language: str, output: Path, provenance: dict[str, Any]) -> None:
    """Write `output` (see `artifacts/prompts.py`)."""
    fetched, source = parallel_prompts(prompts, language)
    logger.info("%s: %d prompts at %s", language, len(fetched), source["revision"])
    save_prompts(output, fetched, provenance | source)
