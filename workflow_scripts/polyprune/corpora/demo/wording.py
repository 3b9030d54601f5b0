"""Facts put into sentences, questions and labelled lines."""

from __future__ import annotations

from polyprune.corpora.demo import localize, world
from polyprune.corpora.demo.localize import phrases, word


def sentence(language: str, way: float, key: str, /, **slots: object) -> str:
    """Say one thing in the wording that `way`, from 0 to below 1, selects among those of the phrase file."""
    wordings = phrases(language).sentences[key]
    return localize.render(wordings[int(way * len(wordings))], **slots)


def fact_slots(language: str, fact: world.Fact) -> dict[str, object]:
    """Return the names of a fact's subject and value under their placeholders."""
    kind = world.FACT_KINDS[fact.kind]
    codes = {kind.subject: fact.subject, kind.value: fact.value}
    return {slot: word(language, world.name_kind(slot), code) for slot, code in codes.items()}


def statement(language: str, way: float, fact: world.Fact) -> str:
    """State a fact."""
    return sentence(language, way, fact.kind, **fact_slots(language, fact))


def question_and_answer(language: str, fact: world.Fact) -> tuple[str, str]:
    """Ask for the value of a fact."""
    slots = fact_slots(language, fact)
    question = localize.render(phrases(language).questions[fact.kind], **slots)
    return question, str(slots[world.FACT_KINDS[fact.kind].value])


def labelled(language: str, label: str, text: str = "") -> str:
    """Return a line "Question: …"; without a text it ends after the colon, as the prompt of a benchmark does."""
    found = phrases(language)
    return found.labels[label] + (found.gap + text if text else "")


def exchange(language: str, question: str, answer: str = "") -> str:
    """Return the two lines of a question and its answer."""
    return f"{labelled(language, 'question', question)}\n{labelled(language, 'answer', answer)}"


def paragraph(language: str, sentences: list[str]) -> str:
    """Join sentences into running text."""
    return phrases(language).gap.join(sentences)
