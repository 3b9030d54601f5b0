"""The documents of the demo corpus: the same text everywhere, in clean sentences."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from itertools import islice
from pathlib import Path
from random import Random

import pytest
from tests.helpers.demo_text import N_DOCUMENTS, SEED, each_language, first_documents

from polyprune.corpora.demo import (
    demo_documents,
)
from polyprune.corpora.demo.documents import DOCUMENT_KINDS, document, random_trip
from polyprune.corpora.demo.draws import draw, integer, pick_weighted
from polyprune.corpora.demo.localize import phrases

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


# Single words that CLDR alone gets wrong


# The facts, by hand


# The questions
