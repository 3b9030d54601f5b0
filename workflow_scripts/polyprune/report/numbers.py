"""Numbers as text."""

from __future__ import annotations

import math


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
    return f"{value:.{decimals_of(value) if decimals is None else decimals}f}".replace("-", "−")


def format_printed(value: float) -> str:
    """A number that the paper printed, with the digits it printed: one decimal at least."""
    text = f"{value:.6g}"
    return text if "." in text else f"{text}.0"
