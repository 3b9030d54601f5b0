"""WANDA-1 and WANDA-2 against plain Python and hand values."""

import math

import pytest
import torch

from polyprune.grammar.schemes import parse_scheme
from polyprune.maths.wanda import wanda_keep, wanda_scores


def test_scores_by_hand():
    """WANDA-1: the norm belongs to the column, the sign of the weight does not matter."""
    weight = torch.tensor([[1.0, -2.0, 3.0], [-4.0, 5.0, 0.0]])
    scores = wanda_scores(weight, torch.tensor([4.0, 1.0, 9.0]))
    assert scores.tolist() == [[2.0, 2.0, 9.0], [8.0, 5.0, 0.0]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("scheme", ["0.20", "0.50", "0.80", "2of4", "1of4"])
def test_mask_against_plain_python(scheme, dtype):
    """WANDA-1, WANDA-2; scores of 16-bit weights are not rounded to 16 bits."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(24, 40, generator=generator).to(dtype)
    squares = torch.rand(40, generator=generator) * 100
    keep = wanda_keep(weight, squares, parse_scheme(scheme))
    width, n_removed = {"2of4": (4, 2), "1of4": (4, 3)}.get(scheme, (40, parse_scheme(scheme).removed_of(40)))
    scores = weight.double().abs() * squares.double().sqrt()
    for row, kept in zip(scores.view(-1, width).tolist(), keep.view(-1, width).tolist(), strict=True):
        dropped = sorted(range(width), key=lambda column: (row[column], column))[:n_removed]
        assert [column for column in range(width) if not kept[column]] == sorted(dropped)


def test_the_scale_of_the_statistics_does_not_matter():
    """WANDA-2: dividing by the number of sequences, as the reference code does, changes no mask."""
    weight, squares = torch.randn(16, 64), torch.rand(64) * 1e5
    scheme = parse_scheme("0.50")
    assert torch.equal(wanda_keep(weight, squares, scheme), wanda_keep(weight, squares / 128, scheme))


def test_dead_inputs_go_first():
    """WANDA-1: a column that is always 0 scores 0, however large its weights."""
    squares = torch.ones(10)
    squares[[2, 7]] = 0
    weight = torch.ones(3, 10)
    weight[:, [2, 7]] = 100
    keep = wanda_keep(weight, squares, parse_scheme("0.20"))
    assert keep.sum(0).tolist() == [3, 3, 0, 3, 3, 3, 3, 0, 3, 3]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_statistics_that_are_not_finite_are_refused(bad):
    squares = torch.ones(4)
    squares[1] = bad
    with pytest.raises(ValueError, match=r"1 of 4 values are NaN or infinite.*dtype of its checkpoint"):
        wanda_keep(torch.ones(2, 4), squares, parse_scheme("0.50"))
    weight = torch.ones(2, 4)
    weight[0, 0] = bad
    with pytest.raises(ValueError, match="Wanda scores of a"):
        wanda_keep(weight, torch.ones(4), parse_scheme("0.50"))
