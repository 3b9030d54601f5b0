"""LWANDA-1 and LWANDA-2 by hand and in float64, and when they are Wanda's."""

from __future__ import annotations

import pytest
import torch
from tests.helpers import reference
from torch import Tensor

from polyprune.grammar.schemes import parse_scheme
from polyprune.maths.lwanda import deviation_of_languages, lwanda_keep, lwanda_scores
from polyprune.maths.statistics import InputSquaresByLanguage
from polyprune.maths.wanda import wanda_keep, wanda_scores

WEIGHT = torch.tensor([[1.0, -2.0, 3.0], [-4.0, 5.0, 0.0]])


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def squares_of(*inputs: Tensor) -> InputSquaresByLanguage:
    parts = []
    for x in inputs:
        parts.append(InputSquaresByLanguage(x.shape[1]))
        parts[-1].update(x)
    return InputSquaresByLanguage.joined(parts)


def test_scores_by_hand():
    """LWANDA-1, LWANDA-2: deviations 1, 0, 3; of 4 tokens with λ = 0.5 they add 1, 0, 3 to the norms 2, 1, 3."""
    sizes = torch.tensor([[1.0, 2.0, 8.0], [3.0, 2.0, 2.0]], dtype=torch.float64)
    assert deviation_of_languages(sizes).tolist() == [1.0, 0.0, 3.0]
    scores = lwanda_scores(WEIGHT, torch.tensor([4.0, 1.0, 9.0]), 4, sizes, 0.5)
    assert scores.tolist() == [[3.0, 2.0, 18.0], [12.0, 5.0, 0.0]]


@pytest.mark.parametrize("scheme", ["0.50", "2of4", "0.30"])
@pytest.mark.parametrize("factor", [0.3, 1.0, 4.0])
def test_masks_against_float64(scheme: str, factor: float):
    """LWANDA-2 of three languages of unequal length: the ones that go, and others than Wanda's."""
    inputs = [drawn(seed, 40 + 30 * seed, 64) * (1 + drawn(seed + 9, 64).abs()) for seed in range(3)]
    weight, squares = drawn(20, 16, 64), squares_of(*inputs)
    arguments = (squares.total, squares.n_tokens, squares.root_mean_squares, factor)
    keep = lwanda_keep(weight, *arguments, parse_scheme(scheme))
    groups = (4, 2) if scheme == "2of4" else (64, int(64 * float(scheme)))
    parts = zip(weight.split(groups[0], 1), zip(*(x.split(groups[0], 1) for x in inputs), strict=True), strict=True)
    expected = [reference.lwanda_keep(part, of_part, factor, groups[1]) for part, of_part in parts]
    assert torch.equal(keep, torch.cat(expected, 1))
    assert not torch.equal(keep, wanda_keep(weight, squares.total, parse_scheme(scheme)))


@pytest.mark.parametrize("kind", ["one language", "factor 0", "equal languages"])
def test_scores_are_wandas_to_the_bit(kind: str):
    """LWANDA-2 without a difference between languages; the same of seven that are equal, whose mean need not be."""
    weight, x, y = drawn(0, 16, 64), drawn(1, 50, 64), drawn(2, 30, 64)
    inputs = {"one language": [x], "factor 0": [x, y], "equal languages": [x] * 7}[kind]
    squares = squares_of(*inputs)
    factor = 0.0 if kind == "factor 0" else 2.0
    scores = lwanda_scores(weight, squares.total, squares.n_tokens, squares.root_mean_squares, factor)
    assert torch.equal(scores, wanda_scores(weight, squares.total))


def test_masks_do_not_depend_on_the_scale_of_the_inputs():
    """LWANDA-1 has the unit of the inputs; a variance would not."""
    weight, x, y = drawn(0, 16, 64), drawn(1, 50, 64), 2 * drawn(2, 30, 64).abs()
    masks = []
    for scale in (2.0**-20, 1.0, 2.0**10):
        squares = squares_of(scale * x, scale * y)
        masks.append(lwanda_keep(weight, squares.total, 80, squares.root_mean_squares, 1.0, parse_scheme("0.50")))
    assert torch.equal(masks[0], masks[1]) and torch.equal(masks[1], masks[2])


@pytest.mark.parametrize("where", ["weight", "squares"])
def test_values_that_are_not_finite_are_refused(where: str):
    weight, squares = WEIGHT.clone(), torch.ones(3)
    (weight if where == "weight" else squares).view(-1)[0] = torch.nan
    with pytest.raises(ValueError, match="values are NaN or infinite"):
        lwanda_scores(weight, squares, 4, torch.ones(2, 3, dtype=torch.float64), 1.0)
