"""Schemes, calibrations and seeds: one spelling each, everything else refused with the right one."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest

from polyprune.grammar.schemes import (
    COMPOSED_PATTERN,
    PLAIN_PATTERN,
    SCHEME_PATTERN,
    SEED_PATTERN,
    Exchange,
    Scheme,
    canonical_sparsity,
    parse_scheme,
    require_languages,
    require_parts,
)
from polyprune.grammar.spelling import SpellingError, nearest

SCHEMES = {
    "0.50": Scheme("0.50", sparsity=Fraction(1, 2)),
    "0.65": Scheme("0.65", sparsity=Fraction(13, 20)),
    "0.375": Scheme("0.375", sparsity=Fraction(3, 8)),
    "0.05": Scheme("0.05", sparsity=Fraction(1, 20)),
    "2of4": Scheme("2of4", n_of_m=(2, 4)),
    "4of8": Scheme("4of8", n_of_m=(4, 8)),
    "10of16": Scheme("10of16", n_of_m=(10, 16)),
    "0.50-dense-ends": Scheme("0.50-dense-ends", sparsity=Fraction(1, 2), dense_ends=True),
    "2of4-dense-ends": Scheme("2of4-dense-ends", n_of_m=(2, 4), dense_ends=True),
    "0.70-owl": Scheme("0.70-owl", sparsity=Fraction(7, 10), allocation="owl"),
    "0.70-correlation": Scheme("0.70-correlation", sparsity=Fraction(7, 10), allocation="correlation"),
    "w4g128": Scheme("w4g128", bits=4, group_size=128),
    "w8g64": Scheme("w8g64", bits=8, group_size=64),
    "0.50-ends-from-dense": Scheme("0.50-ends-from-dense", sparsity=Fraction(1, 2), exchange=Exchange("dense")),
    "2of4-layer3-from-en": Scheme("2of4-layer3-from-en", n_of_m=(2, 4), exchange=Exchange("en", (3, 3))),
    "0.50-dense-ends-layers2to10-from-de-en": Scheme(
        "0.50-dense-ends-layers2to10-from-de-en",
        sparsity=Fraction(1, 2),
        dense_ends=True,
        exchange=Exchange("de-en", (2, 10)),
    ),
    "0.70-owl-ends-from-sw": Scheme(
        "0.70-owl-ends-from-sw", sparsity=Fraction(7, 10), allocation="owl", exchange=Exchange("sw")
    ),
    "0.50-ends-from-de75-en25+n64": Scheme(
        "0.50-ends-from-de75-en25+n64", sparsity=Fraction(1, 2), exchange=Exchange("de75-en25+n64")
    ),
    "w4g128-layers1to8-from-zh": Scheme(
        "w4g128-layers1to8-from-zh", bits=4, group_size=128, exchange=Exchange("zh", (1, 8))
    ),
}
ANY = "valid spellings are 0.50, 2of4 (n kept of m), 0.50-dense-ends, w4g128, 0.50-layers1to8-from-de"


@pytest.mark.parametrize("text", SCHEMES)
def test_canonical_schemes_are_parsed_and_match_the_wildcard(text: str):
    assert parse_scheme(text) == SCHEMES[text]
    assert parse_scheme(text).quantises == text.startswith("w")
    assert re.fullmatch(SCHEME_PATTERN, text)
    composed = "-from-" in text
    assert bool(re.fullmatch(COMPOSED_PATTERN, text)) == composed != bool(re.fullmatch(PLAIN_PATTERN, text))
    assert parse_scheme(text).plain == re.sub("-(ends|layers?[0-9to]+)-from-.*", "", text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("0.5", "did you mean 0.50?"),
        ("0.500", "did you mean 0.50?"),
        (".5", "did you mean 0.50?"),
        (".375", "did you mean 0.375?"),
        ("0.3750", "did you mean 0.375?"),
        ("0.5-dense-ends", "did you mean 0.50-dense-ends?"),
        ("2:4", "did you mean 2of4?"),
        ("2_4", "did you mean 2of4?"),
        ("2:4-dense-ends", "did you mean 2of4-dense-ends?"),
        ("0.7-owl", "did you mean 0.70-owl?"),
        ("2of4-owl", ANY),
        ("2:4-owl", ANY),
        ("2of4-correlation", ANY),
        ("0.7-correlation", "did you mean 0.70-correlation?"),
        ("0.50-dense-ends-owl", ANY),
        ("0.50-owl-dense-ends", ANY),
        ("w4g128-owl", ANY),
        ("w1g128", ANY),
        ("w16g128", ANY),
        ("0.00", ANY),
        ("1.00", ANY),
        ("50", ANY),
        ("4of4", ANY),
        ("4of2", ANY),
        ("02of4", ANY),
        ("w4g128-dense-ends", ANY),
        ("w04g128", ANY),
        ("dense", ANY),
        ("", ANY),
        ("0.50\n", ANY),
        ("0.٥٠", ANY),
    ],
)
def test_other_schemes_are_refused_with_the_nearest_spelling(text: str, hint: str):
    with pytest.raises(SpellingError) as refused:
        parse_scheme(text)
    assert str(refused.value) == f"{text!r} is not a scheme; {hint}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0.5-ends-from-dense", "'0.5' is not a scheme; did you mean 0.50?"),
        ("dense-ends-from-dense", f"'dense' is not a scheme; {ANY}"),
        ("0.50-ends-from-dense-ends-from-de", "'0.50-ends-from-dense' is composed"),
        ("0.50-layers3to3-from-en", "'layers3to3' is spelt 'layer3'"),
        ("0.50-layer3to5-from-en", "'layer3to5' is spelt 'layers3to5'"),
        ("0.50-layers5to3-from-en", "'layers5to3' are no layers; write ends, layer3 or layers1to8"),
        ("0.50-layer0-from-en", "'layer0' are no layers"),
        ("0.50-layers03-from-en", "'layers03' are no layers"),
        ("0.50-layer1-from-en-de", "calibration 'en-de' is spelt 'de-en'"),
        ("0.50-layer1-from-german", "'german' is not a calibration"),
    ],
)
def test_other_compositions_are_refused_with_the_right_one(text: str, message: str):
    with pytest.raises(SpellingError, match=re.escape(message)):
        parse_scheme(text)


def test_layers_are_counted_from_one_and_the_ends_are_two():
    assert Exchange("en", (3, 5)).indices(8) == {2, 3, 4}
    assert Exchange("dense").indices(8) == {0, 7}


def test_the_parts_of_a_composed_cell_are_two():
    require_parts(parse_scheme("0.50"), "de")
    require_parts(parse_scheme("0.50-ends-from-dense"), "de")
    require_parts(parse_scheme("0.50-layer1-from-en"), "de")
    with pytest.raises(SpellingError, match=r"takes from calibration 'en' what it has; that cell is '0\.50'"):
        require_parts(parse_scheme("0.50-layer1-from-en"), "en")


def test_languages_are_compared_where_there_are_two() -> None:
    """Whatever corpora they are from."""
    for scheme, calibration in (("0.50", "de"), ("0.50-owl", "de"), ("0.50-correlation", "de-en@code")):
        require_languages(parse_scheme(scheme), calibration)
    for calibration in ("de", "de-de@code", "random"):
        with pytest.raises(SpellingError, match=r"'0\.50-correlation' compares languages, .* has not two of them; cal"):
            require_languages(parse_scheme("0.50-correlation"), calibration)


@pytest.mark.parametrize(
    "text",
    [
        "0.5",
        ".5",
        "0.٥٠",
        "02of4",
        "w4g128-dense-ends",
        "0.50/",
        "2:4",
        "2of4-owl",
        "w9g64",
        "0.50-layer0-from-en",
        "2of4-correlation",
        "0.50-owl-correlation",
    ],
)
def test_the_wildcard_matches_no_second_spelling(text: str):
    assert not re.fullmatch(SCHEME_PATTERN, text)


@pytest.mark.parametrize(
    ("scheme", "n_weights", "removed"),
    [
        ("0.29", 100, 29),  # int(100 * 0.29) is 28
        ("0.57", 100, 57),
        ("0.50", 7, 3),
        ("0.65", 64, 41),
        ("1of4", 8, 6),
        ("2of4", 8, 4),
        ("3of4", 8, 2),
        ("0.50-dense-ends", 10, 5),
    ],
)
def test_removed_weights_are_counted_exactly(scheme: str, n_weights: int, removed: int):
    assert parse_scheme(scheme).removed_of(n_weights) == removed


def test_quantisation_removes_nothing():
    with pytest.raises(ValueError, match="scheme w4g128 removes no weights"):
        parse_scheme("w4g128").removed_of(8)


@pytest.mark.parametrize(
    ("text", "canonical"), [("0.5", "0.50"), ("0.500", "0.50"), (".5", "0.50"), ("0.375", "0.375"), ("0.10", "0.10")]
)
def test_canonical_sparsity_has_two_decimals_at_least_and_no_padding(text: str, canonical: str):
    assert canonical_sparsity(text) == canonical


@pytest.mark.parametrize(("text", "matches"), [("0", True), ("12", True), ("01", False), ("00", False), ("٣", False)])
def test_seeds_have_one_spelling(text: str, matches: bool):
    assert bool(re.fullmatch(SEED_PATTERN, text)) == matches


def test_nearest_lists_choices_in_order_and_hints_only_at_a_close_one():
    assert nearest("wnda", ["wanda", "magnitude"]) == "not one of magnitude, wanda; did you mean wanda?"
    assert nearest("qqq", ["wanda", "magnitude"]) == "not one of magnitude, wanda"
