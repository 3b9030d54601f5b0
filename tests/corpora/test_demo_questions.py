"""Facts of the demo's world, and questions on them that are parallel over languages."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from tests.helpers.demo_text import SEED, each_language

from polyprune.corpora.demo import (
    continuations,
    knowledge_questions,
    reading_questions,
    world,
)
from polyprune.corpora.demo.localize import phrases, word
from polyprune.corpora.demo.wording import exchange, question_and_answer, statement
from polyprune.errors import UserError
from polyprune.grammar.languages import DEMO_LANGUAGES


@pytest.mark.parametrize(
    ("code", "currency", "official", "continent"),
    [
        ("KE", "Kenyan shilling", "Swahili", "Africa"),
        ("JP", "Japanese yen", "Japanese", "Asia"),
        ("DE", "euro", "German", "Europe"),
        ("BR", "Brazilian real", "Portuguese", "South America"),
        ("EG", "Egyptian pound", "Arabic", "Africa"),
        ("US", "US dollar", "English", "North America"),
        ("RU", "Russian ruble", "Russian", "Europe"),
        ("MX", "Mexican peso", "Spanish", "North America"),
    ],
)
def test_facts_of_countries(code: str, currency: str, official: str, continent: str) -> None:
    expected = {"currency": currency, "official": official, "continent": continent}
    assert {kind: question_and_answer("en", world.fact(kind, code))[1] for kind in expected} == expected


def test_facts_of_cities_scripts_and_the_calendar() -> None:
    answers = {
        ("city", "Europe/Rome"): "Italy",
        ("script", "ru"): "Cyrillic script",
        ("script", "yue"): "Chinese script",
        ("day_after", "6"): "Monday",
        ("month_after", "12"): "January",
        ("first_weekday", "DE"): "Monday",
        ("first_weekday", "US"): "Sunday",
    }
    assert {key: question_and_answer("en", world.fact(*key))[1] for key in answers} == answers


def test_shares_are_of_people_and_sorted() -> None:
    kenya = next(country for country in world.countries() if country.code == "KE")
    assert kenya.shares[0] == ("sw", 66)
    assert all(c.shares == tuple(sorted(c.shares, key=lambda s: (-s[1], s[0]))) for c in world.countries())
    assert all(5 <= share <= 99 for country in world.countries() for _, share in country.shares)


N_KNOWN = 89


@each_language
def test_questions_are_parallel(language: str) -> None:
    """Item i names the same fact, and the wrong answers are the same codes in the same order."""
    ours, english = (knowledge_questions(code, N_KNOWN, SEED) for code in (language, "en"))
    assert [(q.kind, q.key) for q in ours] == [(q.kind, q.key) for q in english]
    codes = {  # back from a name to its code
        code: {
            (kind, str(word(code, world.name_kind(world.FACT_KINDS[kind].value), value))): value
            for kind in world.FACT_KINDS
            for value in world.values(kind)
        }
        for code in (language, "en")
    }
    for one, other in zip(ours, english, strict=True):
        choices = [
            [codes[code][question.kind, choice] for choice in (question.answer, *question.distractors)]
            for code, question in ((language, one), ("en", other))
        ]
        assert choices[0] == choices[1]
        assert choices[0][0] == world.fact(one.kind, one.key).value


@each_language
def test_distractors_are_wrong_distinct_and_of_the_same_kind(language: str) -> None:
    for question in knowledge_questions(language, N_KNOWN, SEED):
        fact = world.fact(question.kind, question.key)
        kind = world.name_kind(world.FACT_KINDS[question.kind].value)
        names = {str(word(language, kind, value)): value for value in world.values(question.kind)}
        assert len({question.answer, *question.distractors}) == 4
        assert names.keys() >= set(question.distractors)
        assert not {names[wrong] for wrong in question.distractors} & {fact.value, *fact.also_true}


def test_the_second_official_language_is_no_wrong_answer() -> None:
    for seed in range(20):
        kenya = next(q for q in knowledge_questions("en", N_KNOWN, str(seed)) if (q.kind, q.key) == ("official", "KE"))
        assert "English" not in kenya.distractors


def test_knowledge_questions_are_different_facts_and_no_more_than_there_are() -> None:
    asked = knowledge_questions("en", N_KNOWN, SEED)
    assert len({(q.kind, q.key) for q in asked}) == N_KNOWN
    assert knowledge_questions("en", 20, SEED) == asked[:20]
    assert knowledge_questions("en", 20, "other") != asked[:20]
    with pytest.raises(UserError, match="90 questions are asked for, the demo world has 89"):
        knowledge_questions("en", N_KNOWN + 1, SEED)


@each_language
def test_reading_questions_are_parallel_and_answered_by_their_passage(language: str) -> None:
    ours, english = (reading_questions(code, 40, SEED) for code in (language, "en"))
    for one, other in zip(ours, english, strict=True):
        travellers = [phrases(code).people for code in (language, "en")]
        assert (one.answer in travellers[0]) == (other.answer in travellers[1])
        if one.answer in travellers[0]:
            assert travellers[0].index(one.answer) == travellers[1].index(other.answer)
            assert one.answer in one.passage
        assert len({one.answer, *one.distractors}) == 4
    assert len({one.passage for one in ours}) == 40


def test_wrong_readings_do_not_occur_in_the_passage() -> None:
    for reading in reading_questions("en", 200, SEED):
        assert reading.answer in reading.passage
        words = set(re.findall(r"[A-Z]\w+(?: [A-Z]\w+)?", reading.passage))
        assert not words & set(reading.distractors)


@each_language
def test_continuations_are_parallel_with_one_true_ending_on_the_topic(language: str) -> None:
    ours, english = (continuations(code, 60, SEED) for code in (language, "en"))
    assert [item.gold for item in ours] == [item.gold for item in english]
    assert set(Counter(item.gold for item in ours)) == {0, 1, 2, 3}
    true = {
        statement(language, way / 6, fact): fact
        for kind in ("currency", "official", "continent", "city")
        for fact in world.facts(kind)
        for way in range(6)
    }
    for i, item in enumerate(ours):
        country = true[item.context].value
        on_topic = [ending in true and true[ending].subject == country for ending in item.endings]
        assert on_topic == [position == item.gold for position in range(4)]
        assert len(set(item.endings)) == 4
        assert all(ending in true for ending in item.endings) == bool(i % 2)


def test_english_continuations_speak_of_the_same_facts() -> None:
    """In every language the true ending is the same wording of the same fact."""
    for language in DEMO_LANGUAGES:
        for ours, english in zip(continuations(language, 30, SEED), continuations("en", 30, SEED), strict=True):
            place = [
                (kind, fact, way)
                for kind in ("currency", "official", "continent")
                for fact in world.facts(kind)
                for way in range(6)
                if statement(language, way / 6, fact) == ours.endings[ours.gold]
            ]
            assert any(statement("en", way / 6, fact) == english.endings[english.gold] for _, fact, way in place)


def test_an_exchange_without_answer_is_a_prompt() -> None:
    question, answer = question_and_answer("en", world.fact("currency", "JP"))
    assert exchange("en", question, answer) == "Question: What is the currency of Japan?\nAnswer: Japanese yen"
    assert exchange("en", question).endswith("\nAnswer:")
    chinese, _ = question_and_answer("zh", world.fact("currency", "JP"))
    assert exchange("zh", chinese) == "问题：日本的货币是什么？\n答案："
