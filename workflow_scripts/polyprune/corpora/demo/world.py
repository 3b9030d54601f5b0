"""What the demo corpus is about: facts on sixteen countries and on the calendar, in no language.

Everything is a code (ISO countries, currencies, languages, UN M49 continents, IANA zones, weekdays "0" = Monday to "6",
months "1" to "12"); `localize` gives the names. The facts are CLDR's, read through Babel. Babel ships no containment,
so the continent of a country and the choice of its cities are the table `_PLACES` here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache

from babel import Locale
from babel.core import get_global
from babel.languages import get_official_languages
from babel.numbers import get_territory_currencies

AFRICA, ASIA, EUROPE, NORTH_AMERICA, SOUTH_AMERICA = "002", "142", "150", "003", "005"

_PLACES = {  # continent as in UN M49 (Russia counts as Europe), cities that name a time zone
    "AR": (SOUTH_AMERICA, ("America/Buenos_Aires",)),
    "BR": (SOUTH_AMERICA, ("America/Sao_Paulo", "America/Manaus")),
    "CN": (ASIA, ("Asia/Shanghai", "Asia/Urumqi")),
    "DE": (EUROPE, ("Europe/Berlin",)),
    "EG": (AFRICA, ("Africa/Cairo",)),
    "ES": (EUROPE, ("Europe/Madrid",)),
    "FR": (EUROPE, ("Europe/Paris",)),
    "GB": (EUROPE, ("Europe/London",)),
    "IT": (EUROPE, ("Europe/Rome",)),
    "JP": (ASIA, ("Asia/Tokyo",)),
    "KE": (AFRICA, ("Africa/Nairobi",)),
    "MX": (NORTH_AMERICA, ("America/Mexico_City", "America/Tijuana")),
    "RU": (EUROPE, ("Europe/Moscow", "Asia/Omsk")),
    "SA": (ASIA, ("Asia/Riyadh",)),
    "TZ": (AFRICA, ("Africa/Dar_es_Salaam",)),
    "US": (NORTH_AMERICA, ("America/New_York", "America/Los_Angeles", "America/Chicago")),
}
CURRENCIES_AS_OF = date(2024, 1, 1)
"""A fixed day: the corpus must not change when a country changes its money."""
SMALLEST_SHARE, LARGEST_SHARE = 5, 99
"""Per cent of a country's people; a language below is left out, and "about 100 %" is not worth a sentence."""
_UNUSED_LANGUAGES = {"cop", "wuu"}  # Coptic is liturgical; Wu is called "у" in Russian, a preposition
_SCRIPT_WRITTEN = {"Hans": "Hani", "Hant": "Hani"}
"""CLDR's likely script tells simplified from traditional characters; the facts here do not."""


@dataclass(frozen=True)
class Country:
    """What is known of one country; the shares are (language, per cent of its people), largest first."""

    code: str
    currency: str
    official_languages: tuple[str, ...]
    continent: str
    first_weekday: str
    cities: tuple[str, ...]
    shares: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class FactKind:
    """The placeholders of a kind of fact: what is asked about, and what the answer is."""

    subject: str
    value: str


@dataclass(frozen=True)
class Fact:
    """One true statement. `also_true` are further values that would be right and cannot serve as wrong answers."""

    kind: str
    subject: str
    value: str
    also_true: tuple[str, ...] = ()


FACT_KINDS = {
    "currency": FactKind("country", "currency"),
    "official": FactKind("country", "language"),
    "continent": FactKind("country", "continent"),
    "first_weekday": FactKind("country", "weekday"),
    "city": FactKind("city", "country"),
    "script": FactKind("language", "script"),
    "day_after": FactKind("weekday", "next_weekday"),
    "month_after": FactKind("month", "next_month"),
}


def name_kind(placeholder: str) -> str:
    """Return the kind of name a placeholder of the phrase files takes: both days of `day_after` are weekdays."""
    return placeholder.removeprefix("next_")


def _shares(country: str, named: Iterable[str]) -> tuple[tuple[str, int], ...]:
    spoken = {
        language: facts["population_percent"]
        for language, facts in get_global("territory_languages")[country].items()
        if language in named and language not in _UNUSED_LANGUAGES
    }
    kept = [(language, round(share)) for language, share in spoken.items() if SMALLEST_SHARE <= share <= LARGEST_SHARE]
    return tuple(sorted(kept, key=lambda item: (-item[1], item[0])))


def _country(code: str, named: Iterable[str]) -> Country:
    continent, cities = _PLACES[code]
    official = tuple(str(language) for language in get_official_languages(code, de_facto=True))
    return Country(
        code=code,
        currency=str(get_territory_currencies(code, CURRENCIES_AS_OF)[0]),
        official_languages=official,
        continent=continent,
        first_weekday=str(Locale.parse(f"und_{code}").first_week_day),
        cities=cities,
        shares=_shares(code, named),
    )


@lru_cache(maxsize=1)
def countries() -> tuple[Country, ...]:
    """Return the sixteen countries in the order of their codes.

    A language counts as spoken only where Swahili and Spanish, the poorest lists, have a name for it.
    """
    named = set(Locale("sw").languages) & set(Locale("es").languages)
    return tuple(_country(code, named) for code in sorted(_PLACES))


@lru_cache(maxsize=1)
def languages() -> tuple[str, ...]:
    """Return every language that is official or spoken in one of the countries."""
    official = {language for country in countries() for language in country.official_languages}
    return tuple(sorted(official | {language for country in countries() for language, _ in country.shares}))


def _script(language: str) -> str:
    likely = str(get_global("likely_subtags")[language]).split("_")[1]
    return _SCRIPT_WRITTEN.get(likely, likely)


@lru_cache(maxsize=16)
def facts(kind: str) -> tuple[Fact, ...]:
    """Return every fact of one kind, in a fixed order."""
    match kind:
        case "currency":
            return tuple(Fact(kind, c.code, c.currency) for c in countries())
        case "official":
            return tuple(Fact(kind, c.code, c.official_languages[0], c.official_languages[1:]) for c in countries())
        case "continent":
            return tuple(Fact(kind, c.code, c.continent) for c in countries())
        case "first_weekday":
            return tuple(Fact(kind, c.code, c.first_weekday) for c in countries())
        case "city":
            return tuple(Fact(kind, city, c.code) for c in countries() for city in c.cities)
        case "script":
            return tuple(Fact(kind, language, _script(language)) for language in languages())
        case "day_after":
            return tuple(Fact(kind, str(day), str((day + 1) % 7)) for day in range(7))
        case "month_after":
            return tuple(Fact(kind, str(month), str(month % 12 + 1)) for month in range(1, 13))
    raise ValueError(f"unknown kind of fact {kind!r}; known: {', '.join(FACT_KINDS)}")


@cache
def fact(kind: str, subject: str) -> Fact:
    """Return what is true of one subject."""
    for known in facts(kind):
        if known.subject == subject:
            return known
    raise ValueError(f"no fact of kind {kind!r} about {subject!r}")


@lru_cache(maxsize=16)
def values(kind: str) -> tuple[str, ...]:
    """Return the different values of one kind of fact, sorted."""
    return tuple(sorted({known.value for known in facts(kind)}))


def countries_sharing(field: str, at_least: int) -> dict[str, tuple[str, ...]]:
    """Return the values of a country field that at least so many countries share, with these countries."""
    groups: dict[str, tuple[str, ...]] = {}
    for country in countries():
        value = getattr(country, field)
        groups[value] = (*groups.get(value, ()), country.code)
    return {value: codes for value, codes in sorted(groups.items()) if len(codes) >= at_least}
