"""The demo corpus: the same text everywhere, correct facts, clean sentences, and questions parallel over languages."""

from __future__ import annotations

import hashlib
import re
import string
import subprocess
import sys
from collections import Counter
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from polyprune.corpora.demo import (
    continuations,
    demo_documents,
    knowledge_questions,
    reading_questions,
    world,
)
from polyprune.corpora.demo.documents import DOCUMENT_KINDS, document, random_trip
from polyprune.corpora.demo.draws import draw, integer, pick_weighted
from polyprune.corpora.demo.localize import NAME_KINDS, capitalised, day, join_list, money, phrases, quantity, word
from polyprune.corpora.demo.wording import exchange, question_and_answer, statement
from polyprune.grammar.languages import DEMO_LANGUAGES

SEED = "test"
N_DOCUMENTS = 400
CASED = ("de", "en", "es", "ru", "sw")
PACKAGE_ROOT = Path(sys.modules["polyprune"].__path__[0]).parent
SCRIPTS = {"ar": "\u0600-\u06ff", "ru": "\u0400-\u04ff", "zh": "\u4e00-\u9fff"}
LATIN = "A-Za-z\u00c0-\u024f"
ENDINGS = {"ar": ".؟", "zh": "。？"}
GOLDEN = {  # sha256 of the first fifty documents, joined by a blank line; a change here changes every demo result
    "ar": "1fb184d911a9d0e52936cdb9a581cbeb82d08cce8067d85e2ec1c6516960dfdf",
    "de": "482c874d0984a037f612268cddaa7abcd3c2b6536f3bfbd249bebca4793b0448",
    "en": "4505af4a7a8929ec3a96c54dff6fcc7779b95587d106a4f988ea6328664292b3",
    "es": "88c6869b6fd3530c9abeab00ef0a61fa439e00f9714e2c5e70b825e8c22128ca",
    "ru": "4ec939092d5c06b374d2a431485d26dd2932815598308543064e9138b0ae014e",
    "sw": "150d861d296e59b8db16d27fb6cdf551dd23456050a330adf8a9a56777b01c58",
    "zh": "e9d72b1e80882b7accf9adb2db687948156656ead182886b9c3528cbd77ea3f1",
}

each_language = pytest.mark.parametrize("language", DEMO_LANGUAGES)


def first_documents(language: str, n: int = N_DOCUMENTS, seed: str = SEED) -> list[str]:
    return list(demo_documents(language, seed, n))


def digest(documents: list[str]) -> str:
    return hashlib.sha256("\n\n".join(documents).encode()).hexdigest()


def lines_without_labels(language: str, text: str) -> list[tuple[str, str]]:
    """Return (label, rest) of each line; running text without a label has the label "text"."""
    found = []
    for line in text.split("\n"):
        for label, words in phrases(language).labels.items():
            if line.startswith(words):
                found.append((label, line.removeprefix(words).lstrip()))
                break
        else:
            found.append(("text", line))
    return found


def sentences_of(language: str, text: str) -> list[str]:
    """Split running text after a full stop, but for the one of a German ordinal: "am 5. März"."""
    if language == "zh":
        return [s for s in re.split(r"(?<=[。？])", text) if s]
    if language == "de":
        text = re.sub(r"\b(\d\d?)\. ", r"\1._", text)
    return re.split(r"(?<=[.?؟]) ", text)


# The stream


@each_language
def test_the_first_documents_have_not_changed(language: str) -> None:
    assert digest(first_documents(language, 50, "golden")) == GOLDEN[language]


def test_the_stream_does_not_depend_on_the_hash_seed() -> None:
    program = (
        "import hashlib; from polyprune.corpora.demo import demo_documents;"
        "print(*[hashlib.sha256('\\n\\n'.join(demo_documents(l, 'test', 60)).encode()).hexdigest()"
        " for l in ('ar', 'de', 'sw')])"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(PACKAGE_ROOT)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for hash_seed in ("0", "1", "4242")
    }
    assert found == {" ".join(digest(first_documents(language, 60)) for language in ("ar", "de", "sw")) + "\n"}


@each_language
def test_fewer_documents_are_the_beginning_of_more(language: str) -> None:
    assert first_documents(language, 100) == first_documents(language, 300)[:100]
    assert first_documents(language, 100) == list(islice(demo_documents(language, SEED, 10**9), 100))


def test_another_seed_gives_other_documents() -> None:
    one, other = set(first_documents("en")), set(first_documents("en", seed="other"))
    assert len(one & other) < 0.1 * N_DOCUMENTS


def test_an_unknown_language_is_refused_before_the_first_document() -> None:
    with pytest.raises(ValueError, match="no language 'fr'; it has: ar, de"):
        demo_documents("fr", SEED, 1)


def test_document_kinds_come_in_proportion_to_their_weights() -> None:
    labels = phrases("en").labels
    openings = Counter(text.split(" ")[0] for text in first_documents("en", 2700))
    assert openings[labels["question"]] == pytest.approx(600, rel=0.15)
    assert openings[labels["text"]] == pytest.approx(500, rel=0.15)


def test_draws_are_fair_and_within_bounds() -> None:
    rng = Random("draws")
    assert Counter(integer(rng, 3, 5) for _ in range(900)).keys() == {3, 4, 5}
    assert sorted(draw(rng, "abcd", 4)) == list("abcd")
    counts = Counter(pick_weighted(rng, {"rare": 1, "often": 9}) for _ in range(1000))
    assert counts["rare"] == pytest.approx(100, rel=0.4)
    with pytest.raises(ValueError, match="cannot draw 3 of 2"):
        draw(rng, "ab", 3)


# The text


@each_language
def test_text_has_no_placeholder_code_or_double_space(language: str) -> None:
    codes = "length-|mass-|volume-|duration-|Argentina/|America/|Asia/|Europe/|None|\u200e|\u200f|\u061c"
    for text in first_documents(language):
        assert not re.search(r"[{}]", text)
        assert not re.search(codes, text), text
        assert not re.search(r"[^\S\n]{2}|\s\n|\n\s|^\s|\s$", text), repr(text)
        assert not re.search(r"\s[.,،。，？?؟]|[.,]{2}", text), text


@each_language
def test_text_is_in_the_script_of_its_language(language: str) -> None:
    letters = [char for text in first_documents(language) for char in text if char.isalpha()]
    own = re.compile(f"[{SCRIPTS.get(language, LATIN)}]")
    assert sum(bool(own.match(char)) for char in letters) == len(letters)


@each_language
def test_sentences_begin_with_a_capital_and_end_with_a_stop(language: str) -> None:
    for text in first_documents(language):
        for label, line in lines_without_labels(language, text):
            if label == "answer":
                assert line
                assert line[-1] not in ".?。？؟"
                continue
            for sentence in sentences_of(language, line):
                start = sentence.lstrip("¿")[0]
                assert start.isdigit() or language not in CASED or start.isupper(), sentence
                assert sentence[-1] in ENDINGS.get(language, ".?"), sentence
            assert line.endswith(("?", "؟", "？")) == (label == "question"), line


def test_chinese_and_arabic_have_their_own_punctuation() -> None:
    chinese = "".join(first_documents("zh"))
    assert not re.search(r"[.?:;!]|,(?!\d{3})| ", chinese)
    assert "，" in chinese
    arabic = "".join(first_documents("ar"))
    assert not re.search(r"[?;]|,(?!\d{3})", arabic)
    assert "،" in arabic


def test_spanish_questions_open_with_an_inverted_mark() -> None:
    lines = [line for text in first_documents("es") for line in lines_without_labels("es", text)]
    assert all(line.startswith("¿") for label, line in lines if label == "question")


def test_a_traveller_is_home_after_his_stay() -> None:
    for i in range(200):
        trip = random_trip(Random(f"trip/{i}"))
        length, unit = trip.stay
        days = {"duration-hour": 0, "duration-day": length, "duration-week": 7 * length}[unit]
        possible = {str((trip.start + timedelta(days=days + more)).month) for more in range(1, 32)}
        assert trip.home in possible
        assert trip.country != trip.onward


@each_language
def test_every_kind_of_document_can_be_made(language: str) -> None:
    for kind in DOCUMENT_KINDS:
        made = {document(language, Random(f"{kind}/{i}"), kind) for i in range(20)}
        assert len(made) > 5


# The phrase files


def placeholders(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


@each_language
def test_phrase_files_agree_on_keys_wordings_and_placeholders(language: str) -> None:
    ours, english = phrases(language), phrases("en")
    assert ours.labels.keys() == english.labels.keys()
    assert len(ours.people) == len(set(ours.people)) == len(english.people)
    shape = {key: [placeholders(wording) for wording in wordings] for key, wordings in ours.sentences.items()}
    assert shape == {
        key: [placeholders(wording) for wording in wordings] for key, wordings in english.sentences.items()
    }
    questions = {key: placeholders(template) for key, template in ours.questions.items()}
    assert questions == {key: placeholders(template) for key, template in english.questions.items()}


@each_language
def test_wordings_of_one_sentence_differ(language: str) -> None:
    for wordings in phrases(language).sentences.values():
        assert len(set(wordings)) == len(wordings) > 1


@each_language
def test_every_fact_can_be_said_in_every_wording(language: str) -> None:
    """No form of a name is missing: `Word.__format__` refuses an unknown one."""
    for kind in world.FACT_KINDS:
        for fact in world.facts(kind):
            said = {statement(language, way / 6, fact) for way in range(6)}
            assert len(said) == len(phrases(language).sentences[kind])
            assert all(question_and_answer(language, fact))


@each_language
def test_irregular_names_belong_to_codes_of_the_world(language: str) -> None:
    codes = {
        "country": {country.code for country in world.countries()},
        "city": {city for country in world.countries() for city in country.cities},
        "continent": set(world.values("continent")),
        "currency": set(world.values("currency")),
        "script": set(world.values("script")),
        "language": set(world.languages()),
        "weekday": {str(i) for i in range(7)},
        "month": {str(i) for i in range(1, 13)},
    }
    for kind, table in phrases(language).names.items():
        assert kind in (*NAME_KINDS, "unit")
        assert kind == "unit" or table.get("irregular", {}).keys() <= codes[kind]


@each_language
def test_names_of_one_kind_are_distinct(language: str) -> None:
    for kind, codes in {
        "country": tuple(country.code for country in world.countries()),
        "currency": world.values("currency"),
        "continent": world.values("continent"),
        "language": world.languages(),
        "city": tuple(city for country in world.countries() for city in country.cities),
    }.items():
        assert len({str(word(language, kind, code)) for code in codes}) == len(codes)


def test_an_unknown_form_of_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match="'Kenia' has no form 'into'; it has: the, in"):
        f"{word('de', 'country', 'KE'):into}"


# Single words that CLDR alone gets wrong


@pytest.mark.parametrize(
    ("language", "kind", "code", "form", "expected"),
    [
        ("de", "country", "US", "in", "in den Vereinigten Staaten"),
        ("de", "country", "US", "to", "in die Vereinigten Staaten"),
        ("de", "country", "GB", "of", "des Vereinigten Königreichs"),
        ("de", "country", "JP", "to", "nach Japan"),
        ("de", "currency", "GBP", "with", "dem britischen Pfund"),
        ("en", "country", "GB", "the", "the United Kingdom"),
        ("es", "country", "GB", "of", "del Reino Unido"),
        ("es", "currency", "EGP", "the", "la libra egipcia"),
        ("ru", "country", "FR", "in", "во Франции"),
        ("ru", "month", "3", "of", "марта"),
        ("ru", "month", "3", "in", "в марте"),
        ("ru", "weekday", "1", "at", "во вторник"),
        ("sw", "currency", "KES", "other", "shilingi za Kenya"),
        ("ar", "currency", "KES", "with", "بالشلن الكيني"),
    ],
)
def test_forms_of_names(language: str, kind: str, code: str, form: str, expected: str) -> None:
    assert format(word(language, kind, code), form) == expected


@pytest.mark.parametrize(
    ("language", "amount", "unit", "expected"),
    [
        ("zh", 12, "length-kilometer", "12公里"),  # no long form in CLDR
        ("sw", 12, "duration-day", "siku 12"),
        ("ar", 12, "duration-week", "12 أسبوعًا"),  # CLDR has one plural only
        ("ar", 5, "mass-kilogram", "5 كيلوغرامات"),
        ("ru", 5, "mass-kilogram", "5 килограммов"),
        ("ru", 21, "duration-week", "21 неделя"),
        ("de", 1200, "length-kilometer", "1.200 Kilometer"),
    ],
)
def test_quantities(language: str, amount: int, unit: str, expected: str) -> None:
    assert quantity(language, amount, unit) == expected


@pytest.mark.parametrize(
    ("language", "amount", "currency", "expected"),
    [
        ("en", 205, "KES", "205 Kenyan shillings"),
        ("de", 10, "ARS", "10 argentinische Pesos"),
        ("ar", 95, "KES", "95 شلنًا كينيًا"),
        ("ar", 205, "KES", "205 شلنات كينية"),
        ("zh", 15, "CNY", "15元人民币"),
    ],
)
def test_money(language: str, amount: int, currency: str, expected: str) -> None:
    assert money(language, amount, currency) == expected


def test_dates_lists_and_capitals() -> None:
    assert day("ru", date(1990, 3, 5)) == "5 марта 1990 года"
    assert join_list("es", ["portugués", "inglés"]) == "portugués e inglés"
    assert join_list("es", ["España", "Francia", "Italia"]) == "España, Francia e Italia"
    assert join_list("es", ["Italia", "Francia"]) == "Italia y Francia"
    assert capitalised("¿qué?") == "¿Qué?"
    assert capitalised("5 days") == "5 days"


# The facts, by hand


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


# The questions

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
    with pytest.raises(ValueError, match="asked for 90 knowledge questions, the demo world has 89"):
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
