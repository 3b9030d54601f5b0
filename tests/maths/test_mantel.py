"""MANTEL-1 to MANTEL-3 against scipy's permutation test, by brute force, and with and without an effect."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy import stats

from polyprune.maths.mantel import mantel


def symmetric(rng: np.random.Generator, k: int) -> np.ndarray:
    """Distances between points of a plane."""
    points = rng.normal(size=(k, 2))
    return np.linalg.norm(points[:, None] - points, axis=2)


@pytest.mark.parametrize("k", [4, 5])
def test_scipys_permutation_test_says_the_same(k: int) -> None:
    rng = np.random.default_rng(k)
    a, above = symmetric(rng, k), np.triu_indices(k, 1)
    b = 0.5 * a + symmetric(rng, k)

    def correlation(labels: np.ndarray) -> float:
        labels = labels.astype(int)
        return float(np.corrcoef(a[np.ix_(labels, labels)][above], b[above])[0, 1])

    exact = stats.permutation_test(
        (np.arange(k),), correlation, permutation_type="pairings", alternative="greater", n_resamples=10**6
    )
    found = mantel(a, b)
    assert found is not None and found.r == pytest.approx(exact.statistic) == pytest.approx(correlation(np.arange(k)))
    assert found.p == pytest.approx(exact.pvalue)


def test_what_could_have_been_seen_by_brute_force() -> None:
    """MANTEL-3: the smallest correlation that at most a twentieth of all relabellings reach."""
    rng = np.random.default_rng(2)
    a, b, above = symmetric(rng, 6), symmetric(rng, 6), np.triu_indices(6, 1)
    labels = [list(each) for each in permutations(range(6))]
    all_r = np.array([np.corrcoef(a[np.ix_(each, each)][above], b[above])[0, 1] for each in labels])
    rare = [r for r in all_r if (all_r >= r - 1e-9).mean() <= 0.05]
    found = mantel(a, b)
    assert found is not None and found.detectable == pytest.approx(min(rare))
    assert (found.p <= 0.05) == (found.r >= min(rare) - 1e-9)


def test_one_language_apart_from_all_others_cannot_be_told_from_chance() -> None:
    """Seven places for it, so p is at least 1/7, however large r is."""
    apart = np.zeros((7, 7))
    apart[0, 1:] = apart[1:, 0] = 1
    found = mantel(apart, apart)
    assert found is not None and found.r == pytest.approx(1) and found.p == pytest.approx(1 / 7)
    assert found.detectable is None


def test_distances_that_do_not_differ_have_no_test() -> None:
    rng = np.random.default_rng(0)
    same = 1 - np.eye(5)
    assert mantel(same, symmetric(rng, 5)) is None and mantel(symmetric(rng, 5), same) is None
    assert mantel(symmetric(rng, 2), symmetric(rng, 2)) is None


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_distances_that_are_not_finite_have_no_test(value: float) -> None:
    """As no relabelling compares with what is not a number, p would be 0."""
    rng = np.random.default_rng(0)
    a, b = symmetric(rng, 5), symmetric(rng, 5)
    a[1, 3] = a[3, 1] = value
    assert mantel(a, b) is None and mantel(b, a) is None


def test_no_effect_is_claimed_as_often_as_the_level_says_and_a_strong_one_is_found() -> None:
    rng = np.random.default_rng(1)
    null, effect = [], []
    for _ in range(200):
        a, b = symmetric(rng, 6), symmetric(rng, 6)
        for found, other in ((null, b), (effect, a + 0.2 * b)):
            test = mantel(a, other)
            assert test is not None
            found.append(test.p <= 0.05)
    assert 0.01 <= np.mean(null) <= 0.09 and np.mean(effect) > 0.9


def test_many_languages_are_relabelled_at_random_and_reproducibly() -> None:
    rng = np.random.default_rng(3)
    a, b = symmetric(rng, 9), symmetric(rng, 9)
    found, one, other = mantel(a, a + 0.1 * b), mantel(a, b, seed=1), mantel(a, b, seed=2)
    assert found == mantel(a, a + 0.1 * b) and found is not None and found.p < 0.001
    assert one is not None and other is not None and one.p == pytest.approx(other.p, abs=0.02) and one.p != other.p
