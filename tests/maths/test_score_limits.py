"""Score limits: against statsmodels' for one share and for two independent ones, and by hand for paired ones."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from polyprune.maths.score_limits import Shares, correlations, effective_questions, score_limits

Q = float(stats.norm.ppf(0.975))


@pytest.mark.parametrize("right", [0, 1, 17, 60])
def test_of_one_share_they_are_wilsons(right: int):
    """SCORE-1."""
    low, high = score_limits(np.array([right / 60]), 60.0, Q)
    expected = proportion_confint(right, 60, method="wilson")
    assert (low[0], high[0]) == pytest.approx(expected)


@pytest.mark.parametrize(("a", "b"), [(0, 0), (3, 0), (20, 35), (60, 58)])
def test_of_two_independent_shares_they_are_newcombes(a: int, b: int):
    """SCORE-3 without correlation."""
    shares = Shares(np.array([a, b]) / 60, np.array([1.0, -1.0]), np.eye(2), 60.0)
    found = (a - b) / 60 - shares.distance(Q, below=True), (a - b) / 60 + shares.distance(Q, below=False)
    assert found == pytest.approx(confint_proportions_2indep(a, 60, b, 60, compare="diff", method="newcomb"))


def test_of_paired_shares_by_hand():
    """SCORE-3 with the correlation of right answers: Newcombe's sums written out."""
    p, phi = np.array([0.3, 0.1]), 0.4
    shares = Shares(p, np.array([1.0, -1.0]), np.array([[1, phi], [phi, 1]]), 50.0)
    (l1, l2), (u1, u2) = score_limits(p, 50.0, Q)
    below = (p[0] - l1) ** 2 - 2 * phi * (p[0] - l1) * (u2 - p[1]) + (u2 - p[1]) ** 2
    above = (u1 - p[0]) ** 2 - 2 * phi * (u1 - p[0]) * (p[1] - l2) + (p[1] - l2) ** 2
    assert shares.distance(Q, below=True) == pytest.approx(below**0.5)
    assert shares.distance(Q, below=False) == pytest.approx(above**0.5)
    assert below < above


def test_of_many_questions_far_from_the_ends_they_are_normal():
    covariance = np.array([[0.25, 0.1, 0.05], [0.1, 0.24, 0.02], [0.05, 0.02, 0.21]]) / 1e6
    p, w = np.array([0.5, 0.6, 0.7]), np.array([1.0, -0.5, -0.5])
    effective = effective_questions(p, np.diag(covariance), 1_000_000, 1)
    shares = Shares(p, w, correlations(covariance, effective), effective)
    for below in (True, False):
        assert shares.distance(Q, below) == pytest.approx(Q * (w @ covariance @ w) ** 0.5, rel=1e-2)


def test_questions_are_worth_more_with_draws_and_less_in_groups():
    """SCORE-2: the right answers' own variance is worth n; half of it, at most n S; a group's twofold, n/2."""
    p = np.array([0.2, 0.4])
    own = p * (1 - p) / 99
    assert effective_questions(p, own, 100, 3) == pytest.approx(100)
    assert effective_questions(p, 2 * own, 100, 3) == pytest.approx(50)
    assert effective_questions(p, own / 2, 100, 3) == pytest.approx(200)
    assert effective_questions(p, own / 9, 100, 3) == 300
    assert effective_questions(np.zeros(2), np.zeros(2), 100, 3) == 100


def test_a_share_that_does_not_vary_goes_with_none():
    found = correlations(np.array([[4.0, 3.0, 0], [3.0, 9.0, 0], [0, 0, 0]]), 1e9)
    assert found == pytest.approx(np.array([[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]]))


def test_half_an_answer_is_not_taken_as_common():
    """SCORE-4 by Newcombe's table of right and wrong: φ = (ad − bc − n/2) / √(…), 0 if that is below; −φ is left."""
    a, b, c, d = 20, 6, 4, 10
    n = a + b + c + d
    p, q = (a + b) / n, (a + c) / n
    covariance = np.array([[p * (1 - p), a / n - p * q], [a / n - p * q, q * (1 - q)]]) / n
    sides = (a + b) * (c + d) * (a + c) * (b + d)
    assert correlations(covariance, float(n))[0, 1] == pytest.approx((a * d - b * c - n / 2) / sides**0.5)
    assert correlations(covariance * np.array([[1, -1], [-1, 1]]), float(n))[0, 1] == pytest.approx(
        -(a * d - b * c) / sides**0.5
    )
    assert correlations(np.array([[0.1, 1e-4], [1e-4, 0.1]]), 40.0)[0, 1] == 0
