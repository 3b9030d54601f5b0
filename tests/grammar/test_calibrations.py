"""Calibrations: one spelling each, everything else refused with the right one; how sequences are shared out."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest

from polyprune.grammar.calibrations import (
    CALIBRATION_PATTERN,
    FORMS,
    PLAIN,
    SELF_PATTERN,
    Calibration,
    Term,
    is_single_language,
    parse_calibration,
    require_known,
    require_needed,
    spelt,
)
from polyprune.grammar.spelling import SpellingError
from polyprune.grammar.titles import calibration_title

HALF, QUARTER, EIGHTH = Fraction(1, 2), Fraction(1, 4), Fraction(1, 8)
SPELT = {
    "de": ([Term("de", Fraction(1))], None, "DE"),
    "de-en": ([Term("de", HALF), Term("en", HALF)], None, "DE+EN"),
    "de75-en25": ([Term("de", 3 * QUARTER), Term("en", QUARTER)], None, "DE 75 % + EN 25 %"),
    "de12.5-en87.5": ([Term("de", EIGHTH), Term("en", 7 * EIGHTH)], None, "DE 12.5 % + EN 87.5 %"),
    "de@tico19": ([Term("de", Fraction(1), "tico19")], None, "DE (tico19)"),
    "de-en@code": ([Term("de", HALF), Term("en", HALF, "code")], None, "DE+EN (code)"),
    "de@tico19+n64": ([Term("de", Fraction(1), "tico19")], 64, "DE (tico19, 64 sequences)"),
    "de@code-en@code": ([Term("de", HALF, "code"), Term("en", HALF, "code")], None, "DE+EN (code)"),
    "de-de@tico19": ([Term("de", HALF), Term("de", HALF, "tico19")], None, "DE+DE (tico19)"),
    "de99.9@c4.en-en0.1+n2048": (
        [Term("de", Fraction(999, 1000), "c4.en"), Term("en", Fraction(1, 1000))],
        2048,
        "DE 99.9 % (c4.en) + EN 0.1 % (2,048 sequences)",
    ),
    "de+n8": ([Term("de", Fraction(1))], 8, "DE (8 sequences)"),
    "de-en+chat": ([Term("de", HALF), Term("en", HALF)], None, "DE+EN (as chat)"),
    "de+n64+self": ([Term("de", Fraction(1))], 64, "DE (64 sequences, written by the model)"),
    "random": ([], None, "random tokens"),
    "random+n64": ([], 64, "random tokens (64 sequences)"),
}  # fmt: skip


@pytest.mark.parametrize("text", SPELT)
def test_canonical_calibrations_are_parsed_and_spelt_and_match_the_wildcard(text: str):
    terms, budget, title = SPELT[text]
    form = next((form for form in FORMS if text.endswith(f"+{form}")), None)
    assert parse_calibration(text) == Calibration(text, tuple(terms), budget, form)
    assert spelt(terms, budget, form) == text and calibration_title(text) == title
    assert bool(re.fullmatch(SELF_PATTERN, text)) == (form == "self")
    assert parse_calibration(text).source.text == re.sub(r"\+n\d+", "", text)
    assert re.fullmatch(CALIBRATION_PATTERN, text)
    assert parse_calibration(text).is_plain == (text in ("de", "de-en"))
    assert is_single_language(text) == (text == "de")


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("de", [9]),
        ("de+chat", [9]),
        ("de-en", [5, 9]),
        ("de25-en75", [2, 9]),
        ("de-de@code-en", [6, 9]),
        ("ar-de-en@code", [3, 6, 9]),
        ("random", [9]),
    ],
)
def test_sequences_of_a_language_stand_together_whatever_corpus_they_are_from(text: str, ends: list[int]):
    found = parse_calibration(text).by_language(9)
    assert [(each.start, each.stop) for each in found] == list(zip([0, *ends[:-1]], ends, strict=True))


ONCE = "each language once, in alphabetical order"
WRITE = "write language codes joined by '-', e.g. de or de-en"
ENDINGS = (
    "after '+' stand a number of sequences and a form, chat or self (random has none), e.g. de+n64, de+chat or "
    "de+n64+self"
)
SHARES = "write per cents with at most one decimal that add up to 100, one for each or none, e.g. de75-en25"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("en-de", f"calibration 'en-de' is spelt 'de-en': {ONCE}"),
        ("de-de", f"calibration 'de-de' is spelt 'de': {ONCE}"),
        ("en25-de75", f"calibration 'en25-de75' is spelt 'de75-en25': {ONCE}, equal shares without numbers"),
        ("de50-en50", f"calibration 'de50-en50' is spelt 'de-en': {ONCE}, equal shares without numbers"),
        ("en@code-de", f"calibration 'en@code-de' is spelt 'de-en@code': {ONCE}"),
        ("de@code-de", f"calibration 'de@code-de' is spelt 'de-de@code': {ONCE}"),
        ("DE", f"'DE' is not a calibration; {WRITE}"),
        ("de_", f"'de_' is not a calibration; {WRITE}"),
        ("de-", f"'de-' is not a calibration; {WRITE}"),
        ("", f"'' is not a calibration; {WRITE}"),
        ("de@", f"'de@' is not a calibration; {WRITE}"),
        ("de75-en", f"calibration 'de75-en': {SHARES}"),
        ("de75.0-en25", f"calibration 'de75.0-en25': {SHARES}"),
        ("de75.25-en24.75", f"calibration 'de75.25-en24.75': {SHARES}"),
        ("de75-en20", f"calibration 'de75-en20': its shares add up to 95; {SHARES}"),
        ("de100", f"calibration 'de100': {SHARES}"),
        *(
            (text, f"'{text}' is not a calibration: {ENDINGS}")
            for text in (
                "de+64",
                "de+n0",
                "de+n064",
                "de+n8+n9",
                "de+chat+n8",
                "de+chat+self",
                "random+chat",
                "random+",
            )
        ),
        ("random-en", f"'random-en' is not a calibration; {WRITE}"),
    ],
)
def test_other_calibrations_are_refused_with_the_right_one(text: str, message: str):
    with pytest.raises(SpellingError) as refused:
        parse_calibration(text)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    "text",
    [
        "de_",
        "de-",
        "de@",
        "de@a-b-",
        "de75.0-en25",
        "de+n064",
        "de+64",
        "de@A",
        "random+chat",
        "de+chat+n8",
        "random-en",
    ],
)
def test_the_wildcard_matches_no_second_spelling_of_a_term_or_number(text: str):
    assert not re.fullmatch(CALIBRATION_PATTERN, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("de-xx", "calibration 'de-xx': 'xx' is not one of ar, de, en"),
        ("dee", "calibration 'dee': 'dee' is not one of ar, de, en; did you mean de?"),
        ("ar@code", "calibration 'ar@code': 'ar' is not one of en, py of corpus code"),
        ("en@cod", "calibration 'en@cod': corpus 'cod' is not one of code; did you mean code?"),
    ],
)
def test_corpora_and_languages_must_be_there(text: str, message: str):
    known = {None: ["en", "de", "ar"], "code": ["en", "py"], "my-web": ["de"]}
    require_known(parse_calibration("de-en@code"), known)
    with pytest.raises(SpellingError) as refused:
        require_known(parse_calibration(text), known)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("de@web", "'de@web' is spelt 'de': corpus 'web' and 16 calibration_sequences are the model's own"),
        ("de+n16", "'de+n16' is spelt 'de': corpus 'web' and 16 calibration_sequences are the model's own"),
        ("de75-en25@web+n16", "'de75-en25@web+n16' is spelt 'de75-en25': corpus"),
        ("ar-de-en+n2", "'ar-de-en+n2': a mix of 3 languages needs as many sequences"),
        ("de1-en99", "'de1-en99': 'de' would have none of 16 sequences"),
    ],
)
def test_what_a_model_has_anyway_is_not_said_again_and_no_term_is_left_out(text: str, message: str):
    require_needed(parse_calibration("de@web2-en+n8"), "web", 16)
    with pytest.raises(SpellingError) as refused:
        require_needed(parse_calibration(text), "web", 16)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("text", "n", "counts"),
    [
        ("de", 8, [8]),
        ("de-en", 8, [4, 4]),
        ("ar-sw-zh", 128, [43, 43, 42]),
        ("aa-bb-cc-dd-ee-ff-gg", 128, [19, 19, 18, 18, 18, 18, 18]),
        ("de-en", 2, [1, 1]),
        ("de75-en25", 64, [48, 16]),
        ("de12.5-en87.5", 64, [8, 56]),
        ("ar10-de25-en65", 9, [1, 2, 6]),
        ("ar12.5-de12.5-en75", 4, [1, 0, 3]),
    ],
)
def test_sequences_are_shared_out_by_largest_remainders(text: str, n: int, counts: list[int]):
    """By hand: of 9, ar has 0.9, de 2.25 and en 5.85, so the two left over go to ar and en."""
    found = parse_calibration(text)
    assert list(found.sequences_of(n)) == counts and sum(counts) == n
    assert (found.why_not_of(n) is None) == (0 not in counts)


def test_what_calibrations_ask_of_a_model_besides_languages():
    kinds = {text: parse_calibration(text).kind for text in SPELT}
    assert kinds["de"] == kinds["de-en"] == kinds["de75-en25"] == parse_calibration(PLAIN).kind == min(kinds.values())
    assert len(set(kinds.values())) == 12
    assert kinds["de-de@tico19"] != kinds["de@tico19"]
