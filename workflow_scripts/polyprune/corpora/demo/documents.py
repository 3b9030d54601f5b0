"""The documents of the demo corpus: short texts from templates, each about one country, day, trip or sum.

The kinds and their weights are chosen so that a model of 0.4 M parameters learns the facts from about a million tokens:
profiles of a country, and questions with answers, recur most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from polyprune.corpora.demo import localize, world
from polyprune.corpora.demo.draws import draw, integer, pick, pick_weighted
from polyprune.corpora.demo.localize import phrases, word, words
from polyprune.corpora.demo.wording import exchange, labelled, paragraph, question_and_answer, sentence, statement

FIRST_DAY, N_DAYS = date(1990, 1, 1), 12_000
"""Dates reach to 2022, so that a trip told in the past tense is over."""
_SUM_UNITS = (
    "length-kilometer",
    "length-meter",
    "mass-kilogram",
    "mass-gram",
    "volume-liter",
    "duration-minute",
    "duration-hour",
    "duration-day",
    "duration-week",
)
_STAY_UNITS = {
    "duration-hour": timedelta(hours=1),
    "duration-day": timedelta(days=1),
    "duration-week": timedelta(weeks=1),
}
_SPELL_OUT = 3
"""Smallest number used: below it Arabic says "two days" in one word whose case would have to fit the sentence."""
_QUESTION_WEIGHTS = {
    "currency": 5,
    "official": 5,
    "continent": 4,
    "city": 3,
    "month_after": 3,
    "day_after": 2,
    "first_weekday": 1,
    "script": 1,
}


@dataclass(frozen=True)
class Trip:
    """One man's trip, in no language; `person` counts in the parallel lists of names, `home` is a month."""

    person: int
    country: str
    onward: str
    start: date
    paid: int
    distance: int
    weight: int
    stay: tuple[int, str]
    home: str


def random_trip(rng: Random) -> Trip:
    """Draw a trip; only the amount paid and the currency belong to the country."""
    country, onward = draw(rng, world.countries(), 2)
    start = FIRST_DAY + timedelta(days=integer(rng, 0, N_DAYS - 1))
    stay, unit = integer(rng, _SPELL_OUT, 10), pick(rng, list(_STAY_UNITS))
    home = start + stay * _STAY_UNITS[unit] + timedelta(days=integer(rng, 1, 30))
    return Trip(
        person=integer(rng, 0, len(phrases("en").people) - 1),
        country=country.code,
        onward=onward.code,
        start=start,
        paid=integer(rng, 1, 9) * 10 ** integer(rng, 1, 3) + 5 * integer(rng, 0, 1),
        distance=100 * integer(rng, _SPELL_OUT, 60),
        weight=integer(rng, _SPELL_OUT, 40),
        stay=(stay, unit),
        home=str(home.month),
    )


def trip_sentences(language: str, trip: Trip, rng: Random) -> dict[str, str]:
    """Tell a trip, one sentence under each key of the phrase file, in the order of events."""
    person = phrases(language).people[trip.person]
    currency = world.fact("currency", trip.country).value
    slots: dict[str, dict[str, object]] = {
        "travel": {"country": word(language, "country", trip.country), "date": localize.day(language, trip.start)},
        "paid": {"money": localize.money(language, trip.paid, currency)},
        "journey": {
            "distance": localize.quantity(language, trip.distance, "length-kilometer"),
            "weight": localize.quantity(language, trip.weight, "mass-kilogram"),
        },
        "onward": {
            "country": word(language, "country", trip.onward),
            "duration": localize.quantity(language, *trip.stay),
        },
        "home": {"month": word(language, "month", trip.home)},
    }
    return {key: sentence(language, rng.random(), key, person=person, **parts) for key, parts in slots.items()}


def reading_passage(language: str, trip: Trip, rng: Random) -> str:
    """Return the part of a trip a reader is asked about: one traveller, one country."""
    told = trip_sentences(language, trip, rng)
    return paragraph(language, [told[key] for key in ("travel", "paid", "home")])


def reading_question(language: str, trip: Trip, kind: str) -> tuple[str, str]:
    """Ask who travelled ("traveller") or where to ("visited"); the passage has the answer."""
    person = phrases(language).people[trip.person]
    answers = {"traveller": person, "visited": str(word(language, "country", trip.country))}
    return localize.render(phrases(language).questions[kind], person=person), answers[kind]


def _share(language: str, rng: Random, country: str, spoken: str, share: int) -> str:
    slots = {"country": word(language, "country", country), "language": word(language, "language", spoken)}
    return sentence(language, rng.random(), "share", percent=localize.percent(language, share), **slots)


def _profile(language: str, rng: Random) -> str:
    country = pick(rng, world.countries())
    told = [world.fact(kind, country.code) for kind in ("currency", "official", "continent", "first_weekday")]
    told = [*draw(rng, told, 3), world.fact("city", pick(rng, country.cities))]
    said = [statement(language, rng.random(), fact) for fact in told]
    if country.shares:
        said.append(_share(language, rng, country.code, *pick(rng, country.shares)))
    return paragraph(language, draw(rng, said, len(said)))


def _question_answer(language: str, rng: Random) -> str:
    asked = [pick(rng, world.facts(pick_weighted(rng, _QUESTION_WEIGHTS))) for _ in range(3)]
    return "\n".join(exchange(language, *question_and_answer(language, fact)) for fact in asked)


def _reading(language: str, rng: Random) -> str:
    trip = random_trip(rng)
    lines = [labelled(language, "text", reading_passage(language, trip, rng))]
    for kind in draw(rng, ("traveller", "visited"), 2):
        lines.append(exchange(language, *reading_question(language, trip, kind)))
    return "\n".join(lines)


def _calendar(language: str, rng: Random) -> str:
    today = FIRST_DAY + timedelta(days=integer(rng, 0, N_DAYS - 1))
    told = [world.fact("day_after", str(today.weekday())), world.fact("month_after", str(today.month))]
    way = rng.random()  # one for both: "Today is …" goes on with "Tomorrow will be …"
    said = []
    for key, when in (("today", today), ("tomorrow", today + timedelta(days=1))):
        slots = {"weekday": word(language, "weekday", str(when.weekday())), "date": localize.day(language, when)}
        said.append(sentence(language, way, key, **slots))
    said += [statement(language, rng.random(), fact) for fact in told]
    later = localize.days_ahead(language, integer(rng, _SPELL_OUT, 24))
    said.append(sentence(language, rng.random(), "relative", relative=later))
    return paragraph(language, said)


def _trip(language: str, rng: Random) -> str:
    return paragraph(language, list(trip_sentences(language, random_trip(rng), rng).values()))


def _language(language: str, rng: Random) -> str:
    about = world.fact("script", pick(rng, world.languages()))
    shares = [(c.code, of, share) for c in world.countries() for of, share in c.shares if of == about.subject]
    said = [statement(language, rng.random(), about)]
    said += [_share(language, rng, *share) for share in draw(rng, shares, min(3, len(shares)))]
    return paragraph(language, said)


def _measure(language: str, rng: Random) -> str:
    said = []
    for unit in (pick(rng, _SUM_UNITS) for _ in range(3)):
        first, second = integer(rng, _SPELL_OUT, 19), integer(rng, _SPELL_OUT, 19)
        numbers = {"first": first, "second": second, "total": first + second}
        slots = {slot: localize.quantity(language, number, unit) for slot, number in numbers.items()}
        said.append(sentence(language, rng.random(), "sum", **slots))
    return paragraph(language, said)


def _lists(language: str, rng: Random) -> str:
    said = []
    for field in ("currency", "continent"):
        shared = world.countries_sharing(field, at_least=3)
        value = pick(rng, list(shared))
        members = words(language, "country", tuple(draw(rng, shared[value], 3)))
        slots = {"countries": members, field: word(language, field, value)}
        said.append(sentence(language, rng.random(), f"common_{field}", **slots))
    country = pick(rng, [c for c in world.countries() if len(c.shares) > 1])
    spoken = words(language, "language", tuple(code for code, _ in country.shares[:3]))
    where = word(language, "country", country.code)
    return paragraph(language, [*said, sentence(language, rng.random(), "spoken", country=where, languages=spoken)])


DOCUMENT_KINDS: dict[str, tuple[Callable[[str, Random], str], int]] = {
    "profile": (_profile, 8),
    "question_answer": (_question_answer, 6),
    "reading": (_reading, 5),
    "calendar": (_calendar, 3),
    "trip": (_trip, 2),
    "language": (_language, 1),
    "measure": (_measure, 1),
    "lists": (_lists, 1),
}
"""The kinds of document: how one is made, and how often it comes."""


def document(language: str, rng: Random, kind: str) -> str:
    """Make one document of a kind."""
    make, _ = DOCUMENT_KINDS[kind]
    return make(language, rng)


def demo_documents(language: str, seed: str, n: int) -> Iterator[str]:
    """Yield `n` documents; the stream depends on language and seed alone, so fewer documents are its beginning."""
    phrases(language)
    return _stream(language, Random(f"{language}/{seed}"), n)


def _stream(language: str, rng: Random, n: int) -> Iterator[str]:
    weights = {kind: weight for kind, (_, weight) in DOCUMENT_KINDS.items()}
    for _ in range(n):
        yield document(language, rng, pick_weighted(rng, weights))
