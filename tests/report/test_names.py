"""Numbers and names in print."""

from __future__ import annotations

import math

import pytest

from polyprune.report.names import calibration_label, is_single_language, method_rank, method_title
from polyprune.report.numbers import decimals_of, format_number, format_printed


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
    assert method_title("sparsegpt") == "SparseGPT" and method_title("magnitude") == "Magnitude"
