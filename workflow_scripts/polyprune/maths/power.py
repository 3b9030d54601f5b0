"""What a measurement could have seen, and what it would take to see more.

V is the variance of a difference by its n items, D that by its S draws of calibration text (INF-4); of a comparison
whose interval is of 1 − .05/f (INF-9) z = z_{1 − .025/f} + z_.8.

    POW-1   smallest difference seen in 4 of 5 studies:  z √(V + D)                  (Cohen 1988)
    POW-2   items for a difference δ:  n V / (δ²/z² − D);  none are enough where D ≥ δ²/z²
    POW-3   draws for a difference δ:  S D / (δ²/z² − V);  none are enough where V ≥ δ²/z²

Normal quantiles: of few draws the t that is used asks for somewhat more.
"""

from __future__ import annotations

import math

from scipy import special

POWER, LEVEL = 0.8, 0.05


def detectable(of_items: float, of_draws: float, f: int) -> float:
    """POW-1, in the unit of the difference."""
    return _z(f) * math.sqrt(of_items + of_draws)


def items_needed(n: int, of_items: float, of_draws: float, difference: float, f: int) -> int | None:
    """POW-2: with as many draws as now; None if no number of items is enough."""
    return _needed(n, of_items, of_draws, difference / _z(f))


def draws_needed(n_draws: int, of_items: float, of_draws: float, difference: float, f: int) -> int | None:
    """POW-3: with the items of now; None if no number of draws is enough."""
    return _needed(n_draws, of_draws, of_items, difference / _z(f))


def _z(f: int) -> float:
    return float(special.ndtri(1 - LEVEL / (2 * f)) + special.ndtri(POWER))


def _needed(n: int, by_it: float, by_others: float, deviation: float) -> int | None:
    left = deviation**2 - by_others
    return max(1, math.ceil(n * by_it / left)) if left > 0 else None
