"""A small model with a tokenizer of its own, in a folder of each test's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.helpers.tiny import random_model, save_checkpoint
from tests.helpers.tokenizers import TEXTS, VOCABULARY

from polyprune.model.training import train_tokenizer


@pytest.fixture(scope="session")
def files_of_a_model(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a small model with a tokenizer of its own."""
    folder = save_checkpoint(random_model("llama", vocab_size=VOCABULARY), tmp_path_factory.mktemp("good"))
    train_tokenizer(TEXTS * 20, VOCABULARY).save_pretrained(folder)
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture
def folder(files_of_a_model: dict[str, bytes], tmp_path: Path) -> Path:
    for name, data in files_of_a_model.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path
