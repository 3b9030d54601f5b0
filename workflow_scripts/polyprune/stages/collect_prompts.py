"""The parallel prompts of one language, from wherever they come, as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polyprune.artifacts.prompts import save_prompts
from polyprune.corpora.prompts import file_prompts, generated_prompts, hub_prompts
from polyprune.log import logger
from polyprune.settings import DemoPrompts, FilesPrompts, HubPrompts, Prompts


def collect_prompts(prompts: Prompts, language: str, output: Path, provenance: dict[str, Any]) -> None:
    """Write `output` (see `artifacts/prompts.py`)."""
    match prompts:
        case DemoPrompts():
            collected, source = generated_prompts(prompts, language), {"dataset": "generated"}
        case FilesPrompts():
            collected, source = file_prompts(prompts, language), {"dataset": prompts.files[language]}
        case HubPrompts():
            collected, revision = hub_prompts(prompts, language)
            source = {"dataset": prompts.dataset, "revision": revision}
    logger.info("%s: %d prompts", language, len(collected))
    save_prompts(output, collected, provenance | source)
