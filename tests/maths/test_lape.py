"""Language entropy of neurons, by hand; LAPE-1 to LAPE-3."""

from __future__ import annotations

import math

import numpy as np
import pytest

from polyprune.maths.lape import activation_probability, box_statistics, groups_by_rank, lape


def of(*probabilities: float) -> float:
    return float(lape(np.array(probabilities, dtype=np.float64)[:, None])[0])


def test_entropy_by_hand():
    """(2, 1, 1) is 1/2, 1/4, 1/4: 1.5 bits, so 1.5 ln 2 nats; scale does not matter."""
    assert of(0.2, 0.1, 0.1) == pytest.approx(1.5 * math.log(2))
    assert of(0.8, 0.4, 0.4) == pytest.approx(1.5 * math.log(2))


@pytest.mark.parametrize("n_languages", [2, 6, 7])
def test_entropy_is_between_zero_and_the_logarithm_of_the_languages(n_languages: int):
    assert of(*[0.3] * n_languages) == pytest.approx(math.log(n_languages))
    assert of(0.3, *[0.0] * (n_languages - 1)) == 0.0


def test_never_active_is_missing_and_not_most_specific():
    entropy = lape(np.array([[0.0, 0.5, 0.2], [0.0, 0.0, 0.2]]))
    assert np.isnan(entropy[0]) and entropy[1] == 0 and entropy[2] == pytest.approx(math.log(2))
    assert groups_by_rank(entropy, 2).tolist() == [-1, 0, 1]


def test_probability_is_by_language():
    """LAPE-1: languages down, neurons across, each language by its own tokens."""
    found = activation_probability(np.array([[10, 20, 30], [8, 4, 0]]), np.array([100, 8]))
    np.testing.assert_allclose(found, [[0.1, 0.2, 0.3], [1.0, 0.5, 0.0]])


def test_groups_are_equal_and_ascending():
    score = np.array([5.0, 1.0, np.nan, 3.0, 2.0, 4.0, 0.0])
    assert groups_by_rank(score, 3).tolist() == [2, 0, -1, 1, 1, 2, 0]
    sizes = np.bincount(groups_by_rank(np.random.default_rng(0).random(1003), 50))
    assert len(sizes) == 50 and sizes.max() - sizes.min() <= 1


def test_boxes():
    """Quartiles of 1..9 are 3, 5, 7; whiskers reach 6 beyond them, so 20 is out; NaN is left out."""
    values = np.array([*range(1, 10), 20.0, np.nan])
    box = box_statistics(values)
    assert [box["q1"], box["median"], box["q3"]] == np.quantile(values[:-1], [0.25, 0.5, 0.75]).tolist()
    assert box["whisker_high"] == 9 and box["whisker_low"] == 1
    assert math.isnan(box_statistics(np.array([np.nan]))["median"])
