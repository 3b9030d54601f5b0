"""Prompts as documents: in their order, cut alike in every language."""

from __future__ import annotations

from pathlib import Path

import pytest

from polyprune.artifacts.corpus import load_documents
from polyprune.artifacts.prompts import load_prompts
from polyprune.errors import UserError
from polyprune.settings.text import DemoPrompts, PromptsCorpus
from polyprune.stages.collect_passages import collect_passages
from polyprune.stages.collect_prompts import collect_prompts

CORPUS = PromptsCorpus.model_validate(
    {"kind": "prompts", "prompts": "asked", "languages": ["de", "sw"],
     "shares": {"train": 0.0, "calibration": 0.75, "evaluation": 0.25}}
)  # fmt: skip


def test_the_same_prompts_are_calibration_text_in_every_language(tmp_path: Path):
    asked = DemoPrompts(kind="demo", languages=["de", "sw"], n_prompts=8)
    for language in ("de", "sw"):
        prompts = tmp_path / f"{language}.prompts"
        collect_prompts(asked, language, prompts, {"language": language})
        collect_passages(prompts, CORPUS, language, tmp_path / language, {"language": language})
        texts = [prompt.text for prompt in load_prompts(prompts)]
        assert load_documents(tmp_path / language, "calibration", {"language": language}) == texts[:6]
        assert load_documents(tmp_path / language, "evaluation") == texts[6:]
    with pytest.raises(UserError, match="has language de, expected sw"):
        collect_passages(tmp_path / "de.prompts", CORPUS, "sw", tmp_path / "sw", {})
