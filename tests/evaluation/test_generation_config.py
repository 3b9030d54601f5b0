"""What of a model's generation_config.json answers depend on, and what is said of the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.helpers.harness import language_model, model_folder

from polyprune.errors import UserError


def configured(folder: Path, **entries: Any) -> Path:
    """A model folder with these entries beside what was there."""
    file = model_folder(folder, "llama") / "generation_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **entries}))
    return file.parent


def test_what_changes_greedy_answers_elsewhere_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    choices = {"repetition_penalty": 1.05, "no_repeat_ngram_size": 0, "suppress_tokens": [], "temperature": 0.6}
    language_model(configured(tmp_path, **choices))
    (said,) = [text for record in caplog.records if "generation_config.json" in (text := record.getMessage())]
    assert said.endswith(
        "generation_config.json: repetition_penalty is not applied, answers are the likeliest tokens alone"
    )


def test_an_end_beyond_the_embedding_is_refused(tmp_path: Path) -> None:
    folder = configured(tmp_path, eos_token_id=[1, 99_999])
    with pytest.raises(UserError, match=r"the end of an answer, by generation_config\.json, has token 99999 .*, but"):
        language_model(folder)
