"""The demo corpus as splits."""

from __future__ import annotations

from polyprune.artifacts.prompts import Prompt
from polyprune.corpora.demo import demo_documents
from polyprune.settings.text import DemoCorpus, DemoPrompts

PROMPT_SEED = "prompts"


def split_documents(corpus: DemoCorpus, language: str) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Generated documents: each split is a stream of its own, seeded by its name; the source is the code."""
    counts = corpus.documents.model_dump()
    return {split: list(demo_documents(language, split, n)) for split, n in counts.items()}, {"dataset": "generated"}


def generated_prompts(settings: DemoPrompts, language: str) -> list[Prompt]:
    """Reading questions about the demo world; number i asks the same in every language."""
    from polyprune.corpora.demo import reading_questions

    readings = reading_questions(language, settings.n_prompts, PROMPT_SEED)
    return [Prompt(f"{index:05d}", f"{each.passage}\n{each.question}") for index, each in enumerate(readings)]
