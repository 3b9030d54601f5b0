"""The demo corpus in each of its languages."""

from __future__ import annotations

import pytest

from polyprune.corpora.demo import (
    demo_documents,
)
from polyprune.grammar.languages import DEMO_LANGUAGES

SEED = "test"


N_DOCUMENTS = 400


each_language = pytest.mark.parametrize("language", DEMO_LANGUAGES)


def first_documents(language: str, n: int = N_DOCUMENTS, seed: str = SEED) -> list[str]:
    return list(demo_documents(language, seed, n))
