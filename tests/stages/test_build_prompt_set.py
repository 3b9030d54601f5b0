"""Prompts from a file to a model's tokens: what the headers say."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from tests.helpers.digests import digest_by_hand
from tests.helpers.parallel_prompts import LLAMA_LIKE, row, write_prompts
from tests.helpers.prompting import prompting_of
from tests.helpers.tiny import random_model, save_checkpoint

from polyprune.artifacts.prompts import load_prompt_set
from polyprune.model.chat import template_digest
from polyprune.model.source import read_manifest, write_manifest
from polyprune.model.tokenizer import open_tokenizer
from polyprune.model.training import train_tokenizer
from polyprune.settings.text import HubPrompts
from polyprune.stages.build_prompt_set import build_prompt_set
from polyprune.stages.collect_prompts import collect_prompts
from polyprune.stages.fetch_prompts import fetch_prompts

ROWS = [row("a", 1), row("b", 1)]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The manifest of a tiny chat model."""
    folder = save_checkpoint(random_model("llama", vocab_size=280), tmp_path / "model")
    tokenizer = train_tokenizer(["On a. Q1?", "user assistant head tail"] * 20, 280)
    tokenizer.chat_template = LLAMA_LIKE
    tokenizer.save_pretrained(folder)
    write_manifest(tmp_path / "model.json", {"kind": "folder", "path": str(folder)}, folder, {})
    return tmp_path / "model.json"


def test_the_header_says_data_set_language_model_tokenizer_and_mask(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write_prompts(tmp_path, ROWS)
    collect_prompts(files, "en", tmp_path / "prompts" / "en.parquet", {"code": "x", "language": "en"})
    build_prompt_set(
        model,
        prompting_of(model),
        [tmp_path / "prompts" / "en.parquet"],
        200,
        [tmp_path / "en.safetensors"],
        {"code": "abc"},
    )
    expected = {
        "code": "abc",
        "dataset": "files",
        "revision": digest_by_hand([".jsonl", Path(files.files["en"])]),
        "split": "whole",
        "language": "en",
        "model_digest": read_manifest(model)["digest"],
        "tokenizer_digest": hashlib.sha256((tmp_path / "model/tokenizer.json").read_bytes()).hexdigest(),
        "template": True,
        "chat_template": template_digest(open_tokenizer(tmp_path / "model").fast),
        "content": "tokens with a character of the user's text",
        "items": ["a#1", "b#1"],
    }
    assert load_prompt_set(tmp_path / "en.safetensors").metadata == expected
    rows = [json.loads(line) for line in Path(files.files["en"]).read_text().splitlines()]
    monkeypatch.setattr("polyprune.corpora.from_hub.resolve_revision", lambda *_: "f" * 40)
    monkeypatch.setattr("datasets.load_dataset", lambda *_, **__: rows)
    hub = HubPrompts(kind="hub", dataset="facebook/belebele", revision=None, codes={"en": "eng_Latn"}, n_prompts=2)
    fetch_prompts(hub, "en", tmp_path / "hub" / "en.parquet", {"language": "en"})
    build_prompt_set(
        model,
        prompting_of(model),
        [tmp_path / "hub" / "en.parquet"],
        200,
        [tmp_path / "hub.safetensors"],
        {"code": "abc"},
    )
    found = load_prompt_set(tmp_path / "hub.safetensors")
    assert found.metadata == expected | {"dataset": "facebook/belebele", "revision": "f" * 40}
