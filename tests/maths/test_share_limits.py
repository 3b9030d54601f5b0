"""Limits of shares: against statsmodels' for one, and by hand for two, independent and paired."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from polyprune.maths.share_limits import Shares, correlations, effective_questions, share_limits

Q = float(stats.norm.ppf(0.975))


@pytest.mark.parametrize("right", [0, 1, 17, 60])
def test_of_one_share_they_are_jeffreys(right: int):
    """SHARE-1; statsmodels' leave nothing and everything out, where we take 0 and 1."""
    low, high = share_limits(np.array([right / 60]), 60.0, Q)
    expected = proportion_confint(right, 60, method="jeffreys")
    assert low[0] == (0 if right == 0 else pytest.approx(expected[0]))
    assert high[0] == (1 if right == 60 else pytest.approx(expected[1]))


def test_a_limit_does_not_pass_its_share():
    """At q near 0 both quantiles of Beta(½ + 1, …) are on one side of 1/60."""
    low, high = share_limits(np.array([1 / 60, 59 / 60]), 60.0, 1e-6)
    assert low[0] == 1 / 60 < high[0] and low[1] < 59 / 60 == high[1]


@pytest.mark.parametrize(("a", "b"), [(0, 0), (3, 0), (20, 35), (60, 58)])
def test_of_two_independent_shares_by_hand(a: int, b: int):
    """SHARE-3 without correlation: Laud's MOVER-J, by scipy's beta."""
    shares = Shares(np.array([a, b]) / 60, np.array([1.0, -1.0]), np.eye(2), 60.0)
    found = (a - b) / 60 - shares.distance(Q, below=True), (a - b) / 60 + shares.distance(Q, below=False)
    (l1, u1), (l2, u2) = (
        (
            stats.beta.ppf(0.025, x + 0.5, 60.5 - x) if x else 0.0,
            stats.beta.ppf(0.975, x + 0.5, 60.5 - x) if x < 60 else 1,
        )
        for x in (a, b)
    )
    low = (a - b) / 60 - ((a / 60 - l1) ** 2 + (u2 - b / 60) ** 2) ** 0.5
    high = (a - b) / 60 + ((u1 - a / 60) ** 2 + (b / 60 - l2) ** 2) ** 0.5
    assert found == pytest.approx((low, high))


def test_of_paired_shares_by_hand():
    """SHARE-3 with the correlation of right answers: Newcombe's sums written out."""
    p, phi = np.array([0.3, 0.1]), 0.4
    shares = Shares(p, np.array([1.0, -1.0]), np.array([[1, phi], [phi, 1]]), 50.0)
    (l1, l2), (u1, u2) = share_limits(p, 50.0, Q)
    below = (p[0] - l1) ** 2 - 2 * phi * (p[0] - l1) * (u2 - p[1]) + (u2 - p[1]) ** 2
    above = (u1 - p[0]) ** 2 - 2 * phi * (u1 - p[0]) * (p[1] - l2) + (p[1] - l2) ** 2
    assert shares.distance(Q, below=True) == pytest.approx(below**0.5)
    assert shares.distance(Q, below=False) == pytest.approx(above**0.5)
    assert below < above


def test_of_many_questions_far_from_the_ends_they_are_normal():
    covariance = np.array([[0.25, 0.1, 0.05], [0.1, 0.24, 0.02], [0.05, 0.02, 0.21]]) / 1e6
    p, w = np.array([0.5, 0.6, 0.7]), np.array([1.0, -0.5, -0.5])
    effective = effective_questions(p, np.diag(covariance), 1_000_000, 1_000_000)
    shares = Shares(p, w, correlations(covariance, effective, 1_000_000), effective)
    for below in (True, False):
        assert shares.distance(Q, below) == pytest.approx(Q * (w @ covariance @ w) ** 0.5, rel=1e-2)


def test_questions_are_worth_more_with_draws_and_less_in_groups():
    """SHARE-2: the right answers' own variance is worth n; half of it, at most n S; a group's twofold, n/2."""
    p = np.array([0.2, 0.4])
    own = p * (1 - p) / 99
    assert effective_questions(p, own, 100, 300) == pytest.approx(100)
    assert effective_questions(p, 2 * own, 100, 300) == pytest.approx(50)
    assert effective_questions(p, own / 2, 100, 300) == pytest.approx(200)
    assert effective_questions(p, own / 9, 100, 300) == 300
    assert effective_questions(np.zeros(2), np.zeros(2), 100, 300) == 100


def test_a_share_that_does_not_vary_goes_with_none():
    found = correlations(np.array([[4.0, 3.0, 0], [3.0, 9.0, 0], [0, 0, 0]]), 1e9, 10**9)
    assert found == pytest.approx(np.array([[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]]))


def test_half_an_answer_is_not_taken_as_common():
    """SHARE-4 by Newcombe's table of right and wrong: φ = (ad − bc − n/2) / √(…), 0 if that is below; −φ is left."""
    a, b, c, d = 20, 6, 4, 10
    n = a + b + c + d
    p, q = (a + b) / n, (a + c) / n
    covariance = np.array([[p * (1 - p), a / n - p * q], [a / n - p * q, q * (1 - q)]]) / n
    sides = (a + b) * (c + d) * (a + c) * (b + d)
    assert correlations(covariance, float(n), n)[0, 1] == pytest.approx((a * d - b * c - n / 2) / sides**0.5)
    assert correlations(covariance * np.array([[1, -1], [-1, 1]]), float(n), n)[0, 1] == pytest.approx(
        -(a * d - b * c) / sides**0.5
    )
    assert correlations(np.array([[0.1, 1e-4], [1e-4, 0.1]]), 40.0, 40)[0, 1] == 0
    assert correlations(np.array([[0.1, 4e-4], [4e-4, 0.1]]), 40.0, 40)[0, 1] == pytest.approx(8.75e-4)
    assert correlations(np.array([[0.1, 4e-4], [4e-4, 0.1]]), 40.0, 120)[0, 1] == pytest.approx((4e-4 - 1 / 9600) / 0.1)
