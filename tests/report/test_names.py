"""Numbers and names in print."""

from __future__ import annotations

import math

import pytest

from polyprune.grammar.benchmarks import BENCHMARKS
from polyprune.grammar.calibrations import is_single_language
from polyprune.grammar.methods import METHODS
from polyprune.grammar.titles import compression_title, scheme_title
from polyprune.report.names import (
    PAPER_METHODS,
    calibration_label,
    calibration_rank,
    is_mix,
    is_other,
    is_pair,
    method_rank,
    pair_label,
    removed_by,
)
from polyprune.report.numbers import decimals_of, exact_mean, format_number, format_printed


@pytest.mark.parametrize(
    ("value", "text"),
    [(2.345, "2.35"), (28.49, "28.5"), (310.4, "310"), (1234.4, "1234"), (9.999, "10.0"), (-3.14159, "−3.14"),
     (2.14e6, "2.1e6"), (math.inf, "∞"), (math.nan, ""), (0.0, "0")],
)  # fmt: skip
def test_three_significant_digits(value: float, text: str) -> None:
    assert format_number(value) == text


def test_a_deviation_has_the_decimals_of_its_mean() -> None:
    assert format_number(0.034, decimals_of(28.49)) == "0.0"
    assert format_printed(26.3) == "26.3" and format_printed(85.0) == "85.0"


def test_a_nought_has_no_sign() -> None:
    assert [format_number(value, 1) for value in (-0.04, 0.0, -0.06)] == ["0.0", "0.0", "−0.1"]


def test_names() -> None:
    assert [calibration_label(name, ("de", "en")) for name in ("dense", "de", "de-en", "de-en-zh")] == [
        "dense", "DE", "all 2", "DE+EN+ZH",
    ]  # fmt: skip
    assert is_single_language("de") and not is_single_language("dense") and not is_single_language("de-en")
    assert sorted(["magnitude", "sparsegpt", "dense", "wanda"], key=method_rank) == [
        "dense",
        "wanda",
        "sparsegpt",
        "magnitude",
    ]


OTHERS = ["de-en", "de-en-zh", "de12.5-en87.5", "de75-en25", "de+n8", "de+n64", "de@code", "de-de@code", "en@code",
          "de+chat", "de-en+chat", "de+n8+self", "de+self", "random", "random+n64"]  # fmt: skip


def test_a_calibration_that_is_more_than_a_language_is_none() -> None:
    assert not any(map(is_single_language, OTHERS)) and all(map(is_other, OTHERS))
    assert not any(map(is_other, ("de", "dense", "target")))
    assert list(filter(is_mix, [*OTHERS, "de", "dense"])) == OTHERS[:2]
    assert list(filter(is_pair, ["de-en", "de & en+n8", "de75-en25", "de"])) == ["de-en", "de & en+n8"]
    assert pair_label("de75-en25 & en+n8") == "DE 75 % + EN 25 % & EN (8 sequences)"


def test_rows_stand_by_what_they_are_of() -> None:
    """Languages, mixes by their number, documents of the same terms by share and amount, forms, random tokens."""
    order = sorted([*OTHERS, "sw", "dense"], key=calibration_rank)
    assert order == [
        "sw", "dense", "de-en", "de-en-zh", "de+n8", "de+n64", "de-de@code", "de12.5-en87.5", "de75-en25", "de@code",
        "en@code", "de+chat", "de-en+chat", "de+self", "de+n8+self", "random", "random+n64",
    ]  # fmt: skip


def test_names_in_print_are_names_in_other_letters() -> None:
    titles = {name: entry.title for table in (METHODS, BENCHMARKS) for name, entry in table.items()}
    assert titles == {title.lower(): title for title in titles.values()}
    assert not any(title == name for name, title in titles.items())
    assert {name: titles[name] for name in PAPER_METHODS} == PAPER_METHODS


def test_a_pair_that_is_compared_is_no_mix() -> None:
    assert pair_label("de-en") == "DE & EN" and calibration_label("de-en") == "DE+EN"


@pytest.mark.parametrize(
    ("scheme", "title"),
    [("0.50", "50 %"), ("0.375", "37.5 %"), ("2of4", "2:4"), ("w4g128", "4 bit, group 128"),
     ("0.50-dense-ends", "50 %, first and last layer dense"), ("2of4-dense-ends", "2:4, first and last layer dense"),
     ("0.70-owl", "70 % on average by OWL"),
     ("0.70-correlation", "70 % on average by languages' correlation"),
     ("0.50-ends-from-dense", "50 %, first and last layer from the dense model"),
     ("2of4-layer3-from-en", "2:4, layer 3 from EN"),
     ("0.70-owl-layers1to8-from-de-en", "70 % on average by OWL, layers 1-8 from DE+EN")],
)  # fmt: skip
def test_schemes_in_print(scheme: str, title: str) -> None:
    assert scheme_title(scheme) == title
    assert compression_title("GPTQ", [scheme, "0.20"]) == f"GPTQ {title} and 20 %"


def test_means_are_equal_where_counts_are() -> None:
    """15 and 17 of 60 are as many as 16 and 16, though floats of their per cents do not add up alike."""
    shares = [[100 * (count / 60) for count in counts] for counts in ([15, 17], [16, 16])]
    assert sum(shares[0]) / 2 != sum(shares[1]) / 2
    first, second = (exact_mean(each, [60, 60], ["%", "%"]) for each in shares)
    assert first == second == 100 * 32 / 120
    assert exact_mean(shares[0], [60, 60], ["1", "1"]) == pytest.approx(first)
    assert exact_mean([1.0, math.inf], [1, 1], ["1", "1"]) == math.inf
    assert exact_mean([0.1, 0.2, 0.3], [9, 9, 9], ["1"] * 3) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("matrices", "said"),
    [
        (["q", "ffn.up"], "pruned weights"),
        (["experts"], "removed experts"),
        (["q", "experts"], "pruned weights (experts: of removed experts)"),
    ],
)
def test_what_masks_are_sets_of(matrices: list[str], said: str) -> None:
    assert removed_by(matrices) == said
