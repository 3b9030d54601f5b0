"""AWQ-1 to AWQ-3 against plain loops over tokens in float64, and by hand."""

from __future__ import annotations

import pytest
import torch
from tests.helpers.matrices import correlated_inputs, weights
from torch import Tensor

from polyprune.maths.awq import awq, best_scales, clip
from polyprune.maths.grids import GridSettings, dequantise, round_to_nearest
from polyprune.maths.statistics import InputGramAndSizes

D_IN, GROUP = 40, 16
GRID = GridSettings(bits=3, group_size=GROUP, symmetric=False)


def rounded(row: Tensor) -> Tensor:
    """A vector of weights on the asymmetric grid with 0 of its own: by the smallest distance to any of its levels."""
    low, high = min(row.min().item(), 0.0), max(row.max().item(), 0.0)
    step = (high - low) / (2**GRID.bits - 1) or 1.0
    zero = round(-low / step)
    levels = torch.tensor([step * (code - zero) for code in range(2**GRID.bits)], dtype=row.dtype)
    return levels[(row[:, None] - levels).abs().argmin(1)]


def rounded_matrix(weight: Tensor) -> Tensor:
    return torch.stack([torch.cat([rounded(part) for part in row.split(GROUP)]) for row in weight])


def plain_scales(x: Tensor, matrices: list[Tensor], duo_scaling: bool) -> Tensor:
    """The definition: outputs over all tokens, every matrix and each of twenty exponents in turn."""
    size, best, least = x.abs().mean(0), torch.empty(0), float("inf")
    parts = [part.abs() / (part.abs().max() + 1e-6) for w in matrices for row in w for part in row.split(GROUP)]
    evenness = torch.cat(parts).view(-1, D_IN)
    for step in range(20):
        alpha = step / 20
        scale = size**alpha / (evenness.mean(0) ** (1 - alpha) + 1e-4) if duo_scaling else size**alpha
        scale = scale.clamp(min=1e-4)
        scale = scale / (scale.max() * scale.min()).sqrt()
        error = sum(((x @ (w - rounded_matrix(w * scale) / scale).T) ** 2).sum().item() for w in matrices)
        if error < least:
            best, least = scale, error
    return best


def plain_clip(x: Tensor, weight: Tensor) -> Tensor:
    """The definition: of each row and group the limit whose output over all tokens is closest."""
    found = weight.clone()
    for i, row in enumerate(weight):
        for start in range(0, D_IN, GROUP):
            part, inputs = row[start : start + GROUP], x[:, start : start + GROUP]
            tries = [part.clamp(-limit, limit) for limit in (part.abs().max() * (1 - step / 20) for step in range(10))]
            errors = [((inputs @ (rounded(each) - part)) ** 2).sum().item() for each in tries]
            found[i, start : start + GROUP] = tries[errors.index(min(errors))]
    return found


def inputs(dtype: torch.dtype = torch.float64) -> tuple[Tensor, list[Tensor]]:
    """Some channels carry twenty times as much as the others."""
    x = correlated_inputs(300, D_IN, seed=3)
    x[:, [2, 17, 33]] *= 20
    return x.to(dtype), [weights(6, D_IN, seed=4).to(dtype), weights(4, D_IN, seed=5).to(dtype)]


@pytest.mark.parametrize("duo_scaling", [True, False])
def test_scales_are_those_of_the_plain_loop(duo_scaling: bool) -> None:
    """AWQ-1, AWQ-2; 40 columns in groups of 16, 16 and 8."""
    x, matrices = inputs()
    expected = plain_scales(x, matrices, duo_scaling)
    found = best_scales(torch.cat(matrices), x.T @ x, x.abs().mean(0), GRID, duo_scaling)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)
    assert (expected != 1).any()


def test_limits_are_those_of_the_plain_loop() -> None:
    """AWQ-3."""
    x, (weight, _) = inputs()
    found = clip(weight.T, x.T @ x, GRID).T
    torch.testing.assert_close(found, plain_clip(x, weight))
    assert 0.1 < (found != weight).double().mean() < 0.5


@pytest.mark.parametrize("duo_scaling", [True, False])
@pytest.mark.parametrize("clipped", [True, False])
def test_the_whole_is_that_of_the_plain_loops(duo_scaling: bool, clipped: bool) -> None:
    """AWQ-1..3: scales first, then limits of scaled weights and inputs.

    From what the statistic keeps, in float32, a limit that is hardly better than the next may be another.
    """
    x, matrices = inputs()
    scale = plain_scales(x, matrices, duo_scaling)
    limited = plain_clip(x / scale, matrices[0] * scale) if clipped else matrices[0] * scale
    expected = torch.cat([rounded_matrix(limited), rounded_matrix(matrices[1] * scale)]) / scale

    exact = awq(matrices, x.T @ x, x.abs().mean(0), GRID, duo_scaling, [clipped, False], "a test")
    torch.testing.assert_close(torch.cat([dequantise(each) for each in exact]).double(), expected, rtol=1e-4, atol=1e-5)

    statistic = InputGramAndSizes(D_IN)
    for part in x.float().split(70):
        statistic.update(part)
    single = [weight.float() for weight in matrices]
    found = awq(single, statistic.total, statistic.sizes, GRID, duo_scaling, [clipped, False], "a test")
    close = torch.isclose(torch.cat([dequantise(each) for each in found]).double(), expected, rtol=1e-4, atol=1e-4)
    assert close.double().mean() > 0.95


def test_outputs_are_closer_than_those_of_rounding() -> None:
    """AWQ-2 and AWQ-3 only ever choose what is closer; α = 0 without duo scaling is rounding."""
    x, matrices = inputs(torch.float32)
    gram, size = x.T @ x, x.abs().mean(0)

    def error(ours: Tensor, theirs: Tensor) -> float:
        return ((x @ (ours - theirs).T) ** 2).sum().item()

    scaled, limited = (awq(matrices, gram, size, GRID, False, [choice] * 2, "a test") for choice in (False, True))
    for weight, one, other in zip(matrices, scaled, limited, strict=True):
        plain = error(dequantise(round_to_nearest(weight, GRID)), weight)
        assert error(dequantise(other), weight) < error(dequantise(one), weight) < 0.7 * plain


def test_an_input_that_is_always_zero_is_scaled_least() -> None:
    """AWQ-1: no division by zero; s is at least 1e-4 before it is normalised."""
    x, matrices = inputs(torch.float32)
    x[:, 5] = 0
    quantised = awq(matrices, x.T @ x, x.abs().mean(0), GRID, True, [True, True], "a test")
    assert all(torch.isfinite(dequantise(each)).all() for each in quantised)


def test_what_is_not_finite_is_refused() -> None:
    x, matrices = inputs(torch.float32)
    matrices[0][0, 0] = torch.nan
    with pytest.raises(ValueError, match="weights of a test"):
        awq(matrices, x.T @ x, x.abs().mean(0), GRID, True, [True, True], "a test")
