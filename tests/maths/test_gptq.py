"""GPTQ-1 and GPTQ-2 against a plain column loop, rounding to nearest, and least squares."""

from itertools import product

import pytest
import torch
from tests.helpers.matrices import correlated_inputs, weights

from polyprune.maths.cholesky import HessianFactor, hessian_factor
from polyprune.maths.gptq import gptq
from polyprune.maths.grids import GridSettings, Quantised, dequantise, round_to_nearest

ALL_SETTINGS = [
    GridSettings(bits, group_size, symmetric, act_order, static_groups)
    for bits, group_size, symmetric, act_order, static_groups in product(
        (3, 4), (16, 200), (True, False), (True, False), (True, False)
    )
]
FOUR_BIT = GridSettings(bits=4, group_size=16, symmetric=True)


def plain_column_loop(
    weight: torch.Tensor, gram: torch.Tensor, damping: float, settings: GridSettings
) -> tuple[torch.Tensor, torch.Tensor]:
    """The definition: codes and values, one weight at a time, every update applied to all later columns at once."""
    d_in = weight.shape[1]
    order = sorted(range(d_in), key=lambda j: -gram[j, j].item()) if settings.act_order else list(range(d_in))
    U = hessian_factor(gram[order][:, order], damping, "a test").upper(slice(None))
    original = weight[:, order].clone()
    original[:, gram.diagonal()[order] == 0] = 0
    current, top = original.clone(), 2**settings.bits - 1
    codes, values, grid = torch.empty_like(current), torch.empty_like(current), {}
    for j in range(d_in):
        group = (order[j] if settings.static_groups else j) // settings.group_size
        if group not in grid:
            if settings.static_groups:
                members = original[:, [order[k] // settings.group_size == group for k in range(d_in)]]
            else:
                members = current[:, j : j + settings.group_size]
            low, high = members.min(1).values.clamp(max=0), members.max(1).values.clamp(min=0)
            if settings.symmetric:
                scale = 2 * torch.maximum(-low, high) / top
                grid[group] = scale, torch.full_like(scale, (top + 1) // 2)
            else:
                grid[group] = (high - low) / top, torch.round(-low * top / (high - low))
        scale, zero = grid[group]
        codes[:, j] = torch.clamp(torch.round(current[:, j] / scale) + zero, 0, top)
        values[:, j] = scale * (codes[:, j] - zero)
        current[:, j + 1 :] -= ((current[:, j] - values[:, j]) / U[j, j])[:, None] * U[j, j + 1 :]
    back = torch.tensor(order).argsort()
    return codes[:, back], values[:, back]


def output_error(quantised: Quantised, weight: torch.Tensor, x: torch.Tensor) -> float:
    return ((dequantise(quantised).double() - weight) @ x.T).norm().item()


@pytest.mark.parametrize("settings", ALL_SETTINGS, ids=str)
def test_levels_agree_with_the_plain_column_loop(settings):
    """GPTQ-1, GPTQ-2, OBS-1; 200 columns are no multiple of 16 or 128.

    All codes are equal in float64, but for symmetric grids: there the largest weight of a group lies half-way between
    two levels by GRID-1, so its row may go either way.
    """
    x = correlated_inputs(400, 200, seed=200)
    x[:, [3, 50]] = 0
    weight, gram = weights(12, 200), x.T @ x
    (quantised,) = gptq([weight], gram, 0.01, settings, "a test")
    codes, values = plain_column_loop(weight, gram, 0.01, settings)
    equal_rows = (quantised.codes == codes).all(1)
    assert equal_rows.sum() >= (8 if settings.symmetric else 12)
    assert (quantised.codes == codes).double().mean() >= 0.97
    torch.testing.assert_close(dequantise(quantised)[equal_rows].double(), values[equal_rows], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("settings", ALL_SETTINGS[::5], ids=str)
def test_float32_agrees_with_float64(settings):
    """GPTQ-1: one flipped rounding goes on to later columns, so levels agree to 99 % and errors closely."""
    x = correlated_inputs(400, 200, seed=200)
    weight, gram = weights(32, 200), x.T @ x
    (single,) = gptq([weight.float()], gram.float(), 0.01, settings, "a test")
    (exact,) = gptq([weight], gram, 0.01, settings, "a test")
    assert (single.codes == exact.codes).double().mean() >= 0.99
    assert abs(output_error(single, weight, x) / output_error(exact, weight, x) - 1) < 0.005


@pytest.mark.parametrize("settings", [s for s in ALL_SETTINGS if s.static_groups or not s.act_order], ids=str)
def test_large_damping_is_rounding_to_nearest(settings):
    """GPTQ-1: U becomes diagonal; so codes must come back in the stored order, each with its group."""
    x = correlated_inputs(100, 48, seed=48)
    weight = weights(8, 48)
    (quantised,) = gptq([weight], x.T @ x, 1e9, settings, "a test")
    nearest = round_to_nearest(weight, settings)
    torch.testing.assert_close(quantised.scales, nearest.scales)
    assert torch.equal(quantised.zeros, nearest.zeros)
    assert torch.equal(quantised.group_of_column, nearest.group_of_column)
    steps = weight / nearest.scales[:, nearest.group_of_column.long()]
    half_way = ((steps - steps.floor()) - 0.5).abs() < 1e-6
    assert torch.equal(quantised.codes[~half_way], nearest.codes[~half_way])
    assert half_way.double().mean() < 0.1


def test_dynamic_groups_with_act_order_hold_neighbours_of_the_walk():
    """GPTQ-2: the 16 strongest inputs share the first group."""
    x = correlated_inputs(100, 48, seed=48)
    settings = GridSettings(4, 16, symmetric=True, act_order=True)
    (quantised,) = gptq([weights(8, 48)], x.T @ x, 0.01, settings, "a test")
    strongest = x.square().sum(0).argsort(descending=True)
    assert quantised.group_of_column[strongest].tolist() == [0] * 16 + [1] * 16 + [2] * 16


@pytest.mark.parametrize("settings", ALL_SETTINGS, ids=str)
def test_error_is_below_rounding_to_nearest(settings):
    """GPTQ-1: on correlated inputs, over all settings."""
    x = correlated_inputs(400, 200, seed=200)
    weight = weights(12, 200)
    (quantised,) = gptq([weight], x.T @ x, 0.01, settings, "a test")
    assert output_error(quantised, weight, x) < 0.8 * output_error(round_to_nearest(weight, settings), weight, x)


def test_last_column_takes_up_what_least_squares_would():
    """GPTQ-1, OBS-1 with no damping: two columns, the first rounded; the second is the level nearest to the refit."""
    x, weight = correlated_inputs(50, 2, seed=2), torch.tensor([[0.31, -0.72]], dtype=torch.float64)
    settings = GridSettings(8, 1, symmetric=True, static_groups=True)
    (quantised,) = gptq([weight], x.T @ x, 0.0, settings, "a test")
    first, second = dequantise(quantised).double()[0]
    wanted = x @ weight[0] - x[:, 0] * first
    refit = (x[:, 1] @ wanted) / (x[:, 1] @ x[:, 1])
    level = 2 * 0.72 / 255
    assert abs(second - refit) <= level / 2 + 1e-6 or abs(second) >= 127 * level


def test_eight_bits_cost_little():
    """GPTQ-1."""
    x, weight = correlated_inputs(400, 200, seed=200), weights(12, 200)
    (quantised,) = gptq([weight], x.T @ x, 0.01, GridSettings(8, 128, symmetric=False), "a test")
    assert output_error(quantised, weight, x) < 0.005 * (weight @ x.T).norm()


@pytest.mark.parametrize("symmetric", [True, False])
def test_matrices_quantised_together_are_as_if_alone(symmetric):
    settings = GridSettings(bits=4, group_size=16, symmetric=symmetric)
    x = correlated_inputs(200, 40, seed=40)
    both = [weights(6, 40, seed=2) * 1e-3, weights(10, 40, seed=3)]
    for weight, together in zip(both, gptq(both, x.T @ x, 0.01, settings, "a test"), strict=True):
        (alone,) = gptq([weight], x.T @ x, 0.01, settings, "a test")
        assert torch.equal(together.codes, alone.codes)
        assert torch.equal(together.zeros, alone.zeros)
        torch.testing.assert_close(together.scales, alone.scales)


def test_dead_inputs_become_zero_and_come_last():
    """GPTQ-2, CHOL-1."""
    x = correlated_inputs(100, 32, seed=32)
    x[:, [0, 9]] = 0
    settings = GridSettings(4, 16, symmetric=True, act_order=True)
    (quantised,) = gptq([weights(5, 32)], x.T @ x, 0.01, settings, "a test")
    assert (dequantise(quantised)[:, [0, 9]] == 0).all()
    assert quantised.group_of_column[[0, 9]].tolist() == [1, 1]


def test_a_grid_for_the_whole_row_needs_the_factor_within_blocks_only(monkeypatch):
    """The whole of U is a solve of d_in³ operations."""
    upper, widths = HessianFactor.upper, []

    def counted(factor: HessianFactor, block: slice) -> torch.Tensor:
        widths.append(block.stop - block.start)
        return upper(factor, block)

    monkeypatch.setattr(HessianFactor, "upper", counted)
    x = correlated_inputs(100, 40, seed=40)
    gptq([weights(5, 40)], x.T @ x, 0.01, GridSettings(4, 40, symmetric=True), "a test", block_size=16)
    assert widths == [16, 16, 8]


def test_weights_that_are_not_finite_are_refused():
    weight = torch.ones(2, 3)
    weight[0, 0] = torch.inf
    with pytest.raises(ValueError, match="weights of layer 1 q_proj: 1 of 6 values"):
        gptq([weight], torch.eye(3), 0.01, FOUR_BIT, "layer 1 q_proj")
