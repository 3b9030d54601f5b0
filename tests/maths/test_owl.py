"""OWL-1 and OWL-2 by hand, and the mean they promise."""

from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from polyprune.maths.owl import layer_sparsities, outlier_share


def test_outlier_share_by_hand():
    """OWL-1: the mean is over all matrices of the layer, 24 / 8 = 3; with M = 2 only 7 and 9 are above 6."""
    layer = [torch.tensor([[1.0, 6.0], [0.0, 9.0]]), torch.tensor([[1.0, 0.0, 7.0, 0.0]])]
    assert outlier_share(layer, 2.0) == Fraction(2, 8)


def test_layer_sparsities_by_hand():
    """OWL-2: D' = 0, 0.08, 0.16, mean 0.08; the layer with most outliers is pruned least."""
    shares = [Fraction(1, 100), Fraction(2, 100), Fraction(3, 100)]
    sparsities = layer_sparsities(shares, Fraction(7, 10), Fraction(8, 100))
    assert sparsities == [Fraction(78, 100), Fraction(70, 100), Fraction(62, 100)]


def test_a_negative_spread_turns_the_order_round():
    """OWL-2: D' = 0, −0.08, −0.16, mean −0.08."""
    shares = [Fraction(1, 100), Fraction(2, 100), Fraction(3, 100)]
    sparsities = layer_sparsities(shares, Fraction(7, 10), Fraction(-8, 100))
    assert sparsities == [Fraction(62, 100), Fraction(70, 100), Fraction(78, 100)]


@given(st.lists(st.fractions(0, 1), min_size=1, max_size=12), st.integers(20, 80), st.integers(0, 9))
def test_mean_and_spread(shares, percent, spread):
    """OWL-2: exact, in Fractions."""
    sparsity, spread = Fraction(percent, 100), Fraction(spread, 100)
    sparsities = layer_sparsities(shares, sparsity, spread)
    assert sum(sparsities) / len(shares) == sparsity
    assert max(sparsities) - min(sparsities) == (2 * spread if len(set(shares)) > 1 else 0)
    assert sorted(range(len(shares)), key=lambda i: (shares[i], i)) == sorted(
        range(len(shares)), key=lambda i: (-sparsities[i] if spread else shares[i], i)
    )


def test_a_sparsity_outside_of_the_range_is_refused():
    with pytest.raises(
        ValueError, match=r"layer 0 would get the sparsity 1.0300.*0.95 and spread 0.08; choose a smaller spread"
    ):
        layer_sparsities([Fraction(0), Fraction(1)], Fraction(95, 100), Fraction(8, 100))


def test_scores_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match=r"scores of a \(1, 2\) matrix"):
        outlier_share([torch.tensor([[1.0, torch.nan]])], 5.0)
