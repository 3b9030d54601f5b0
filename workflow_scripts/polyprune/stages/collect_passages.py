"""The texts of prompts as documents of a corpus: passages and questions, the same in every language."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polyprune.artifacts.prompts import load_prompts
from polyprune.corpora.collected import save_collected
from polyprune.corpora.from_files import cut_by_shares
from polyprune.settings.text import PromptsCorpus


def collect_passages(
    prompts: Path, corpus: PromptsCorpus, language: str, output: Path, provenance: dict[str, Any]
) -> None:
    """Write `output` (see `artifacts/corpus.py`): prompts in their order, cut into splits by `shares`.

    So the splits have the same content in every language.
    """
    texts = [prompt.text for prompt in load_prompts(prompts, {"language": language})]
    splits = cut_by_shares(texts, corpus.shares, f"{language} ({prompts})")
    save_collected(language, splits, {"dataset": f"prompts {corpus.prompts}"}, output, provenance)
