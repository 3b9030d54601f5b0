"""What it would take to see a difference, against simulated studies of that size; POW-1 to POW-3."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.power import NormalIndPower

from polyprune.maths.draws import draws_of
from polyprune.maths.inference import contrast, means_of
from polyprune.maths.power import detectable, draws_needed, items_needed


def test_without_draws_it_is_the_textbook_sample_size():
    """POW-2 against statsmodels, for one sample: ratio 0."""
    expected = NormalIndPower().solve_power(effect_size=0.2, alpha=0.05, power=0.8, ratio=0)
    assert items_needed(60, 1 / 60, 0.0, 0.2, 1) == int(np.ceil(expected))


def test_what_is_detectable_now_needs_what_there_is_now():
    """POW-1 and its inverses: 100 items and 3 draws."""
    difference = detectable(4e-4, 1e-4, 28)
    assert items_needed(100, 4e-4, 1e-4, difference * (1 + 1e-9), 28) == 100
    assert draws_needed(3, 4e-4, 1e-4, difference * (1 + 1e-9), 28) == 3


def test_more_of_one_cannot_mend_the_other():
    """POW-2 and POW-3: None where what stays is too much by itself."""
    assert items_needed(60, 1e-3, 1e-3, 0.05, 1) is None
    assert draws_needed(3, 1e-3, 1e-3, 0.05, 1) is None
    assert draws_needed(3, 1e-6, 0.0, 0.05, 1) == 1


@pytest.mark.parametrize("m", [1, 28])
def test_as_many_items_as_asked_for_find_the_difference_four_times_in_five(m: int):
    """POW-2, and that POW-1 is about the test of INF-5 at .05/m (INF-9)."""
    rng = np.random.default_rng(0)
    n = items_needed(60, 1 / 60, 0.0, 0.25, m)
    assert n is not None
    found = 0
    for _ in range(600):
        values = {"de": rng.normal(0.25, 1, (n, 1)), "en": np.zeros((n, 1))}
        groups = np.arange(n)
        found += (
            contrast(means_of(values, groups, draws_of(values, groups)), {"de": 1.0, "en": -1.0}).p_zero() < 0.05 / m
        )
    assert 0.76 < found / 600 < 0.84
