"""Names, numbers, dates and lists in one language: CLDR through Babel, corrected by the phrase files.

CLDR holds names as they stand in a list; a sentence needs them with an article or in a case. A phrase file
(`phrases/<language>.yaml`) therefore gives every kind of name its forms: patterns over CLDR's name (`default`), and the
exceptions (`irregular`). A template asks for a form after a colon: `{country:in}` is "in den Vereinigten Staaten".
Currencies and units also have the forms "one", "few", "many" and "other", CLDR's plural categories.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import yaml
from babel import Locale
from babel.dates import format_date, format_timedelta, get_timezone_location
from babel.lists import format_list
from babel.numbers import format_currency, format_decimal, format_percent, get_currency_name
from babel.units import format_unit

from polyprune.grammar.languages import DEMO_LANGUAGES

_CLDR_LOCALE = {"zh": "zh_Hans"}
_PHRASES = Path(__file__).parent / "phrases"
_COUNTS = (1, 2, 3, 11, 100)
"""Whole numbers that together take every plural category of the seven languages."""


@dataclass(frozen=True)
class Word:
    """A name with its forms: `f"{word}"` is the name alone, `f"{word:in}"` its form called "in"."""

    name: str
    forms: Mapping[str, str]

    def __format__(self, form: str) -> str:
        if form and form not in self.forms:
            raise ValueError(f"{self.name!r} has no form {form!r}; it has: {', '.join(self.forms) or 'none'}")
        return self.forms[form] if form else self.name

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Listing:
    """Several names joined as a language joins them; a form applies to each of them."""

    language: str
    words: tuple[Word, ...]

    def __format__(self, form: str) -> str:
        return join_list(self.language, [format(word, form) for word in self.words])


@dataclass(frozen=True)
class Phrases:
    """One phrase file: `gap` stands between sentences, `labels` before a text, a question and an answer."""

    gap: str
    labels: Mapping[str, str]
    people: tuple[str, ...]
    names: Mapping[str, Mapping[str, Mapping[str, Any]]]
    sentences: Mapping[str, tuple[str, ...]]
    questions: Mapping[str, str]


@cache
def phrases(language: str) -> Phrases:
    """Read the phrase file of a language."""
    if language not in DEMO_LANGUAGES:
        raise ValueError(f"the demo corpus has no language {language!r}; it has: {', '.join(DEMO_LANGUAGES)}")
    raw = yaml.load((_PHRASES / f"{language}.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)
    return Phrases(
        gap=raw["gap"],
        labels=raw["labels"],
        people=tuple(raw["people"]),
        names=raw["names"],
        sentences={key: tuple(variants) for key, variants in raw["sentences"].items()},
        questions=raw["questions"],
    )


@cache
def _locale(language: str) -> Locale:
    return Locale.parse(_CLDR_LOCALE.get(language, language))


def _currency(locale: Locale, code: str) -> tuple[str, dict[str, str]]:
    # With a count, CLDR gives the name as it stands in a sentence: "Kenyan shilling", not "Kenyan Shilling".
    counted = {locale.plural_form(n): get_currency_name(code, n, locale=locale) for n in _COUNTS}
    return get_currency_name(code, 1, locale=locale), counted


def _month(locale: Locale, code: str) -> tuple[str, dict[str, str]]:
    # CLDR's format context is the month inside a date: the genitive in Russian.
    months = locale.months
    return months["stand-alone"]["wide"][int(code)], {"of": months["format"]["wide"][int(code)]}


_CLDR_NAMES: dict[str, Callable[[Locale, str], tuple[str, dict[str, str]]]] = {
    "country": lambda locale, code: (locale.territories[code], {}),
    "continent": lambda locale, code: (locale.territories[code], {}),
    "language": lambda locale, code: (locale.languages[code], {}),
    "script": lambda locale, code: (locale.scripts[code], {}),
    "city": lambda locale, code: (get_timezone_location(code, locale=locale, return_city=True), {}),
    "weekday": lambda locale, code: (locale.days["stand-alone"]["wide"][int(code)], {}),
    "month": _month,
    "currency": _currency,
}


@cache
def word(language: str, kind: str, code: str) -> Word:
    """Return the name of a code with all its forms; a form without a pattern must be listed for every code."""
    table = phrases(language).names.get(kind, {})
    own = table.get("irregular", {}).get(code, {})
    cldr_name, forms = _CLDR_NAMES[kind](_locale(language), code)
    name = own.get("name", cldr_name)
    for form, pattern in table.get("default", {}).items():
        if pattern is None and form not in own:
            raise ValueError(f"phrases/{language}.yaml: {kind} {code} ({name}) needs the form {form!r}")
        if pattern is not None:
            forms[form] = pattern.format(name)
    return Word(name, forms | {form: text for form, text in own.items() if form != "name"})


def words(language: str, kind: str, codes: tuple[str, ...]) -> Listing:
    """Return the names of several codes as one list."""
    return Listing(language, tuple(word(language, kind, code) for code in codes))


def join_list(language: str, items: list[str]) -> str:
    """Join as "A, B and C". Spanish "y" becomes "e" before the sound "i", which CLDR leaves to the caller."""
    if language == "es" and items[-1].lower().startswith(("i", "hi")):
        return f"{', '.join(items[:-1])} e {items[-1]}"
    return format_list(items, locale=_locale(language))


def day(language: str, when: date) -> str:
    """Return a date without its weekday; Russian writes the year out, for "г." would double a closing full stop."""
    text = format_date(when, "long", locale=_locale(language))
    return f"{text.removesuffix('г.').rstrip()} года" if language == "ru" else text


def days_ahead(language: str, days: int) -> str:
    """Return "in 5 days"."""
    ahead = timedelta(days=days)
    return format_timedelta(ahead, granularity="day", threshold=1000, add_direction=True, locale=_locale(language))


@lru_cache(maxsize=4096)
def money(language: str, amount: int, currency: str) -> str:
    """Return an amount with the plural its number asks for: "205 Kenyan shillings"."""
    locale = _locale(language)
    text = format_currency(amount, currency, "#,##0", locale=locale, currency_digits=False, format_type="name")
    counted = word(language, "currency", currency).forms[locale.plural_form(amount)]
    return text.replace(get_currency_name(currency, amount, locale=locale), counted)


@lru_cache(maxsize=4096)
def quantity(language: str, amount: int, unit: str) -> str:
    """Return "12 kilometers". Where CLDR has no long form, Babel returns the unit's code: take the short form then."""
    locale = _locale(language)
    own = phrases(language).names.get("unit", {}).get("irregular", {}).get(unit, {})
    if own:
        return f"{format_decimal(amount, locale=locale)} {own[locale.plural_form(amount)]}"
    for length in ("long", "short"):
        text = format_unit(amount, unit, length, locale=locale)
        if unit not in text:
            return text
    raise ValueError(f"CLDR has no name of the unit {unit!r} in {language!r}")


def percent(language: str, share: int) -> str:
    """Return "27%", with the space the language puts there."""
    return format_percent(share / 100, locale=_locale(language))


def capitalised(sentence: str) -> str:
    """Return the sentence with its first letter in upper case; a sentence that opens with a digit keeps its case."""
    start = len(sentence) - len(sentence.lstrip("¿¡"))
    return sentence[:start] + sentence[start : start + 1].upper() + sentence[start + 1 :]


def render(template: str, /, **slots: object) -> str:
    """Fill a template and make a sentence of it."""
    return capitalised(template.format(**slots))
