"""Numbers as text, and means that are equal where their counts are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import pandas as pd

_ROUNDING = 1e-6
"""Of a share times its questions, which is a count."""


def decimals_of(value: float) -> int:
    """Decimals that show three significant digits: at most two, none from 100 on."""
    if value == 0 or not math.isfinite(value):
        return 0
    rounded = float(f"{value:.3g}")
    return min(2, max(0, 2 - math.floor(math.log10(abs(rounded)))))


def format_number(value: float, decimals: int | None = None) -> str:
    """Three significant digits, unless `decimals` are given; `2.1e6` from 100 000 on; empty for NaN."""
    if math.isnan(value):
        return ""
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if abs(value) >= 1e5:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa}e{int(exponent)}".replace("-", "−")
    places = decimals_of(value) if decimals is None else decimals
    return f"{round(value, places) + 0.0:.{places}f}".replace("-", "−")  # no minus before a nought


def format_printed(value: float) -> str:
    """A number that the paper printed, with the digits it printed: one decimal at least."""
    text = f"{value:.6g}"
    return text if "." in text else f"{text}.0"


def exact_mean(values: Sequence[float], n: Sequence[int], units: Sequence[str]) -> float:
    """The mean of one value a seed, rounded once, so that equal means are equal numbers.

    A per cent of n questions that is a whole number of them is taken as that number.
    """
    if not all(map(math.isfinite, values)):
        return math.fsum(values) / len(values)
    return float(sum(map(_exact, values, n, units), Fraction()) / len(values))


def _exact(value: float, n: int, unit: str) -> Fraction:
    count = value * n / 100
    if unit == "%" and abs(count - round(count)) < _ROUNDING:
        return Fraction(100 * round(count), int(n))
    return Fraction(value)


def exact_means(rows: pd.DataFrame, by: Sequence[str]) -> pd.Series:
    """`exact_mean` of long rows (`value`, `n`, `unit`) by columns, in the order of their first rows."""
    values, n, units = (rows.groupby(list(by), sort=False)[name].agg(list) for name in ("value", "n", "unit"))
    return pd.Series([*map(exact_mean, values, n, units)], index=values.index, name="mean", dtype="float64")
