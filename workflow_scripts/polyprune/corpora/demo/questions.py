"""Questions about the demo world, parallel over languages: item i asks the same in every language.

Which fact is asked, with which wrong answers, is drawn without looking at the language; only the wording differs.
Wrong answers are always values of the same kind that are not true as well.

    knowledge_questions   a fact to remember              for ARC, MMLU and, without the choices, MKQA
    reading_questions     a passage holds the answer      for Belebele
    continuations         which sentence comes next       for HellaSwag
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from polyprune.corpora.demo import world
from polyprune.corpora.demo.documents import random_trip, reading_passage, reading_question
from polyprune.corpora.demo.draws import draw, integer, pick
from polyprune.corpora.demo.localize import phrases, word
from polyprune.corpora.demo.wording import question_and_answer, statement
from polyprune.errors import UserError

KNOWLEDGE_KINDS = ("currency", "official", "continent", "city", "day_after", "month_after")
"""First weekdays are too few (three) for fair choices, and nearly all scripts are Latin."""
_CONTINUED_KINDS = ("currency", "official", "continent")
N_DISTRACTORS = 3

Three = tuple[str, str, str]
Four = tuple[str, str, str, str]


@dataclass(frozen=True)
class Question:
    """A question on one fact; `kind` and `key` say which, in no language."""

    kind: str
    key: str
    question: str
    answer: str
    distractors: Three


@dataclass(frozen=True)
class Reading:
    """A question a passage answers; the wrong answers do not occur in the passage."""

    passage: str
    question: str
    answer: str
    distractors: Three


@dataclass(frozen=True)
class Continuation:
    """A beginning and four sentences, of which number `gold` goes on best."""

    context: str
    endings: Four
    gold: int


def _wrong_values(rng: Random, fact: world.Fact) -> list[str]:
    true = {fact.value, *fact.also_true}
    return draw(rng, [value for value in world.values(fact.kind) if value not in true], N_DISTRACTORS)


def _three(items: list[str]) -> Three:
    first, second, third = items
    return first, second, third


def knowledge_questions(language: str, n: int, seed: str) -> list[Question]:
    """Return `n` questions on different facts; there is one question for each fact of the kinds `KNOWLEDGE_KINDS`.

    Raises:
        UserError: there are fewer.
    """
    known = [fact for kind in KNOWLEDGE_KINDS for fact in world.facts(kind)]
    if n > len(known):
        raise UserError(
            f"{n} questions are asked for, the demo world has {len(known)} facts to ask for; lower "
            "evaluation.demo_questions"
        )
    return [_knowledge_question(language, fact, seed) for fact in draw(Random(f"{seed}/knowledge"), known, n)]


def _knowledge_question(language: str, fact: world.Fact, seed: str) -> Question:
    rng = Random(f"{seed}/knowledge/{fact.kind}/{fact.subject}")
    question, answer = question_and_answer(language, fact)
    kind = world.name_kind(world.FACT_KINDS[fact.kind].value)
    wrong = [str(word(language, kind, code)) for code in _wrong_values(rng, fact)]
    return Question(fact.kind, fact.subject, question, answer, _three(wrong))


def reading_questions(language: str, n: int, seed: str) -> list[Reading]:
    """Return `n` passages on random trips, each with one question."""
    return [_reading(language, Random(f"{seed}/reading/{i}")) for i in range(n)]


def _reading(language: str, rng: Random) -> Reading:
    trip = random_trip(rng)
    passage = reading_passage(language, trip, rng)
    kind = pick(rng, ("traveller", "visited"))
    question, answer = reading_question(language, trip, kind)
    if kind == "traveller":
        people = phrases(language).people
        others = [people[i] for i in draw(rng, [i for i in range(len(people)) if i != trip.person], N_DISTRACTORS)]
    else:
        codes = [country.code for country in world.countries() if country.code != trip.country]
        others = [str(word(language, "country", code)) for code in draw(rng, codes, N_DISTRACTORS)]
    return Reading(passage, question, answer, _three(others))


def continuations(language: str, n: int, seed: str) -> list[Continuation]:
    """Return `n` beginnings that name a country's city, half of them continued by facts, half by topics.

    By facts: four statements on that country, one of them true. By topics: four true statements of one kind on four
    countries, one of them the country the text is about.
    """
    wrong_statements = (_wrong_facts, _other_topics)
    return [_continuation(language, Random(f"{seed}/continuation/{i}"), wrong_statements[i % 2]) for i in range(n)]


def _wrong_facts(rng: Random, fact: world.Fact) -> list[world.Fact]:
    return [world.Fact(fact.kind, fact.subject, value) for value in _wrong_values(rng, fact)]


def _other_topics(rng: Random, fact: world.Fact) -> list[world.Fact]:
    return draw(rng, [other for other in world.facts(fact.kind) if other.subject != fact.subject], N_DISTRACTORS)


def _continuation(
    language: str, rng: Random, wrong_statements: Callable[[Random, world.Fact], list[world.Fact]]
) -> Continuation:
    country = pick(rng, world.countries())
    opening = world.fact("city", pick(rng, country.cities))
    truth = world.fact(pick(rng, _CONTINUED_KINDS), country.code)
    wrong = wrong_statements(rng, truth)
    way, gold = rng.random(), integer(rng, 0, N_DISTRACTORS)
    statements = [*wrong[:gold], truth, *wrong[gold:]]
    first, second, third, fourth = (statement(language, way, fact) for fact in statements)
    return Continuation(statement(language, rng.random(), opening), (first, second, third, fourth), gold)
