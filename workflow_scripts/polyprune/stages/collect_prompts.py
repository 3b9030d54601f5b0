"""The parallel prompts of one language, generated or from the user's file, as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polyprune.artifacts.prompts import save_prompts
from polyprune.corpora.from_demo import generated_prompts
from polyprune.corpora.from_files import file_prompts
from polyprune.log import logger
from polyprune.settings.text import DemoPrompts, LocalPrompts


def collect_prompts(prompts: LocalPrompts, language: str, output: Path, provenance: dict[str, Any]) -> None:
    """Write `output` (see `artifacts/prompts.py`)."""
    if isinstance(prompts, DemoPrompts):
        collected, dataset = generated_prompts(prompts, language), "generated"
    else:
        collected, dataset = file_prompts(prompts, language), prompts.files[language]
    logger.info("%s: %d prompts", language, len(collected))
    save_prompts(output, collected, provenance | {"dataset": dataset})
