"""Generated text, a pure function of language and code."""

from __future__ import annotations

from polyprune.artifacts.prompts import Prompt
from polyprune.corpora.demo import demo_documents, reading_questions
from polyprune.settings.text import DemoCorpus, DemoPrompts

PROMPT_SEED = "prompts"
SOURCE = {"dataset": "generated"}


def split_documents(corpus: DemoCorpus, language: str) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Documents by split, each split a stream of its own, seeded by its name."""
    counts = corpus.documents.model_dump()
    return {split: list(demo_documents(language, split, n)) for split, n in counts.items()}, SOURCE


def parallel_prompts(prompts: DemoPrompts, language: str) -> tuple[list[Prompt], dict[str, str]]:
    """Reading questions about the demo world; number i asks the same in every language."""
    readings = reading_questions(language, prompts.n_prompts, PROMPT_SEED)
    return [Prompt(f"{index:05d}", f"{each.passage}\n{each.question}") for index, each in enumerate(readings)], SOURCE
