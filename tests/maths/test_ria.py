"""RIA-1 and RIA-2 by hand."""

import pytest
import torch

from polyprune.grammar.schemes import parse_scheme
from polyprune.maths.ria import ria_keep, ria_scores

WEIGHT = torch.tensor([[1.0, -2.0, 1.0], [3.0, 2.0, 0.0]])


def test_scores_by_hand():
    """RIA-1: column sums 4, 4, 1; row sums 4, 5; norms 4, 1, 9 with exponent 1/2 give 2, 1, 3."""
    scores = ria_scores(WEIGHT, torch.tensor([16.0, 1.0, 81.0]), exponent=0.5)
    expected = [
        [(1 / 4 + 1 / 4) * 2, (2 / 4 + 2 / 4) * 1, (1 / 1 + 1 / 4) * 3],
        [(3 / 4 + 3 / 5) * 2, (2 / 4 + 2 / 5) * 1, 0.0],
    ]
    torch.testing.assert_close(scores, torch.tensor(expected))


def test_exponent_zero_ignores_the_inputs():
    """RIA-1."""
    torch.testing.assert_close(
        ria_scores(WEIGHT, torch.tensor([16.0, 1.0, 81.0]), exponent=0.0),
        ria_scores(WEIGHT, torch.ones(3), exponent=0.5),
    )


def test_whole_matrix_and_per_row_by_hand():
    """RIA-2: the matrix's ranks are 0, 0.9, 1, 1, 2.7, 3.75; rank 2 is 1, which ties."""
    squares = torch.tensor([16.0, 1.0, 81.0])
    scheme = parse_scheme("0.34")  # 2 of 6 weights, 1 of 3
    assert ria_keep(WEIGHT, squares, scheme, 0.5, per_row=False).tolist() == [
        [False, False, True],
        [True, False, False],
    ]
    assert ria_keep(WEIGHT, squares, scheme, 0.5, per_row=True).tolist() == [[False, True, True], [True, True, False]]


def test_one_of_four():
    """RIA-2: n:m within the row."""
    weight = torch.tensor([[1.0, 2.0, 3.0, 4.0], [4.0, 1.0, 1.0, 1.0]])
    keep = ria_keep(weight, torch.ones(4), parse_scheme("1of4"), 0.5, per_row=False)
    assert keep.tolist() == [[False, False, False, True], [True, False, False, False]]


def test_columns_and_rows_of_zeros_score_zero():
    """RIA-1: where the authors' code has 0/0."""
    weight = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    assert ria_scores(weight, torch.ones(2), exponent=0.5).tolist() == [[0.0, 2.0], [0.0, 0.0]]


@pytest.mark.parametrize("where", ["weight", "squares"])
def test_values_that_are_not_finite_are_refused(where):
    weight, squares = WEIGHT.clone(), torch.ones(3)
    (weight if where == "weight" else squares).view(-1)[0] = torch.nan
    with pytest.raises(ValueError, match="values are NaN or infinite"):
        ria_scores(weight, squares, exponent=0.5)
