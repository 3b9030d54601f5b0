"""MAG-1 and MAG-2."""

import pytest
import torch

from polyprune.grammar.schemes import parse_scheme
from polyprune.maths.magnitude import magnitude_keep


@pytest.mark.parametrize("scheme", ["0.20", "0.50", "0.80"])
def test_whole_matrix_threshold_against_sorting(scheme):
    """MAG-1: one weight more than the exact share goes, all of them below all kept."""
    weight = torch.randn(16, 32, dtype=torch.float64)
    keep = magnitude_keep(weight, parse_scheme(scheme))
    n_removed = parse_scheme(scheme).removed_of(16 * 32) + 1
    lowest = torch.tensor(sorted(weight.abs().flatten().tolist())[:n_removed], dtype=torch.float64)
    assert torch.equal(weight[~keep].abs().sort().values, lowest)


def test_ties_with_the_threshold_all_go():
    """MAG-1 as in the reference code: rank 3 of 6 is the value 2."""
    weight = torch.tensor([[1.0, -2.0, 2.0], [2.0, 3.0, -4.0]])
    assert magnitude_keep(weight, parse_scheme("0.50")).tolist() == [[False, False, False], [False, True, True]]


def test_one_of_four_keeps_the_largest():
    """MAG-2."""
    weight = torch.tensor([[1.0, -9.0, 2.0, 3.0, 0.0, 1.0, -2.0, 1.5]])
    keep = magnitude_keep(weight, parse_scheme("1of4"))
    assert keep.nonzero().tolist() == [[0, 1], [0, 6]]


def test_weights_that_are_not_finite_are_refused():
    weight = torch.ones(2, 2)
    weight[0, 0] = torch.nan
    with pytest.raises(ValueError, match=r"weights of a \(2, 2\) matrix: 1 of 4 values"):
        magnitude_keep(weight, parse_scheme("0.50"))
