"""Names, numbers and dates of the demo corpus in each language, and the phrase files that give them their forms."""

from __future__ import annotations

import string
from datetime import date
from pathlib import Path

import pytest
import yaml
from tests.helpers.demo_text import each_language, first_documents
from tests.helpers.mappings import reversed_mappings

from polyprune.corpora.demo import localize, reading_questions, world
from polyprune.corpora.demo.localize import capitalised, day, join_list, money, phrases, quantity, word
from polyprune.corpora.demo.wording import question_and_answer, statement


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
        assert kind in (*codes, "unit")
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


@each_language
def test_text_does_not_depend_on_the_order_of_keys_in_phrase_files(
    language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def text() -> list[str]:
        localize.phrases.cache_clear()
        questions = [f"{each.passage}{each.question}" for each in reading_questions(language, 40, "test")]
        return first_documents(language, 300) + questions

    as_shipped = text()
    for file in localize._PHRASES.glob("*.yaml"):
        values = reversed_mappings(yaml.safe_load(file.read_text(encoding="utf-8")))
        (tmp_path / file.name).write_text(yaml.safe_dump(values, allow_unicode=True, sort_keys=False), encoding="utf-8")
    monkeypatch.setattr(localize, "_PHRASES", tmp_path)
    reordered = text()
    monkeypatch.undo()
    localize.phrases.cache_clear()
    assert reordered == as_shipped
