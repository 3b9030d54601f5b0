"""GRID-1 to GRID-3 by hand and against exhaustive search of the nearest level."""

import pytest
import torch

from polyprune.maths.grids import Grid, GridSettings, dequantise, round_to_nearest


def settings(**changes) -> GridSettings:
    return GridSettings(**{"bits": 4, "group_size": 8, "symmetric": True} | changes)


def test_asymmetric_grid_by_hand():
    """GRID-1: 0 is always a level; 2 bits from −1 to 2 are the levels −1, 0, 1, 2."""
    quantised = round_to_nearest(torch.tensor([[-1.0, 2.0, 0.4, 0.6]]), settings(bits=2, symmetric=False))
    assert quantised.scales.tolist() == [[1.0]]
    assert quantised.zeros.tolist() == [[1]]
    assert quantised.codes.tolist() == [[0, 3, 1, 2]]
    assert dequantise(quantised).tolist() == [[-1.0, 2.0, 0.0, 1.0]]


def test_asymmetric_grid_of_one_sign_ends_at_zero():
    """GRID-1: min(w, 0) and max(w, 0)."""
    quantised = round_to_nearest(torch.tensor([[1.0, 3.0], [-1.0, -3.0]]), settings(bits=2, symmetric=False))
    assert quantised.scales.tolist() == [[1.0], [1.0]]
    assert quantised.zeros.tolist() == [[0], [3]]


def test_symmetric_grid_by_hand():
    """GRID-1, GRID-2: max|w| = 3, so Δ = 2 for 2 bits and the levels are −4, −2, 0, 2; 3 is clamped to 2."""
    quantised = round_to_nearest(torch.tensor([[-2.9, 3.0, 1.2, -0.9]]), settings(bits=2))
    assert quantised.scales.tolist() == [[2.0]]
    assert quantised.zeros.tolist() == [[2]]
    assert dequantise(quantised).tolist() == [[-2.0, 2.0, 2.0, 0.0]]


def test_symmetric_grid_without_negative_weights_is_the_same():
    """GRID-1: where IST-DASLab's code would halve the range."""
    weight = torch.rand(4, 8) + 0.1
    assert torch.equal(round_to_nearest(weight, settings()).scales, round_to_nearest(-weight, settings()).scales)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_every_weight_goes_to_its_nearest_level(bits, symmetric):
    """GRID-1..3: by trying all codes; groups of 8 with a shorter last one."""
    weight = torch.randn(5, 20, generator=torch.Generator().manual_seed(bits))
    quantised = round_to_nearest(weight, settings(bits=bits, symmetric=symmetric))
    assert quantised.group_of_column.tolist() == [0] * 8 + [1] * 8 + [2] * 4
    assert quantised.scales.shape == (5, 3)
    values = dequantise(quantised)
    for row in range(5):
        for column in range(20):
            scale = quantised.scales[row, column // 8]
            levels = scale * (torch.arange(2**bits) - int(quantised.zeros[row, column // 8]))
            distance = (weight[row, column] - levels).abs()
            torch.testing.assert_close((weight[row, column] - values[row, column]).abs(), distance.min())


def test_grids_belong_to_their_row_and_group():
    """GRID-1: a large weight coarsens its own group only."""
    weight = torch.full((2, 16), 0.1)
    weight[1, 3] = 100
    scales = round_to_nearest(weight, settings()).scales
    assert scales[1, 0] > 10
    assert torch.equal(scales[0], scales[0, :1].expand(2))
    assert scales[1, 1] == scales[0, 1]


def test_a_group_of_zeros_stays_zero():
    """GRID-1."""
    for symmetric in (True, False):
        quantised = round_to_nearest(torch.zeros(2, 8), settings(symmetric=symmetric))
        assert (dequantise(quantised) == 0).all()
        assert (quantised.scales > 0).all()


def test_values_come_in_the_dtype_asked_for():
    quantised = round_to_nearest(torch.randn(2, 8).bfloat16(), settings())
    assert torch.equal(dequantise(quantised, torch.bfloat16), dequantise(quantised).bfloat16())


def test_grid_of_columns_has_one_scale_per_row():
    """GRID-1: the width is the first axis."""
    assert Grid.of(torch.randn(8, 3), settings()).scale.shape == (3,)


def test_a_grid_gives_the_values_of_its_codes():
    """GRID-2, GRID-3: before and after storing."""
    weight = torch.randn(3, 8)
    for symmetric in (True, False):
        grid = Grid.of(weight.T, settings(symmetric=symmetric))
        stored = dequantise(round_to_nearest(weight, settings(symmetric=symmetric)))
        assert torch.equal(grid.values(grid.codes(weight.T)).T, stored)


def test_refusals():
    with pytest.raises(ValueError, match="bits must be 2 to 8, got 9"):
        settings(bits=9)
    with pytest.raises(ValueError, match="group_size must be positive, got 0"):
        settings(group_size=0)
