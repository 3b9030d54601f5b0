"""ROUTE-1 to ROUTE-3 by hand, and beside scipy's distance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from polyprune.maths.routing import lost, overlap, shares

COUNTS = np.array([[3, 1, 0, 4], [0, 0, 2, 0]])


def test_shares_by_hand():
    """ROUTE-1: each row is of a language."""
    assert shares(COUNTS).tolist() == [[0.375, 0.125, 0.0, 0.5], [0.0, 0.0, 1.0, 0.0]]


def test_overlap_is_one_less_the_divergence_in_bits():
    """ROUTE-2: alike, without a common expert, and in between.

    Of p = (½, ½) and q = (1, 0): m = (¾, ¼), KL(p‖m) = ½ log2(2/3) + ½ log2 2, KL(q‖m) = log2(4/3).
    """
    p = shares(COUNTS)
    assert overlap(p, p).tolist() == [1, 1] and overlap(p, p[::-1]).tolist() == [0, 0]
    by_hand = 1 - (0.5 * np.log2(2 / 3) + 0.5 + np.log2(4 / 3)) / 2
    assert overlap(np.array([[0.5, 0.5]]), np.array([[1.0, 0.0]])) == pytest.approx(by_hand, abs=1e-12)
    draws = np.random.default_rng(0).dirichlet(np.full(8, 0.3), size=(2, 5))
    theirs = 1 - np.array([jensenshannon(*pair, base=2) for pair in zip(*draws, strict=True)]) ** 2
    np.testing.assert_allclose(overlap(*draws), theirs, atol=1e-12)


def test_lost_is_what_removed_experts_had():
    """ROUTE-3."""
    removed = np.array([[True, False, True, False]] * 2)
    assert lost(shares(COUNTS), removed).tolist() == [0.375, 1.0]
