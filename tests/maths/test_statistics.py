"""STAT-1 to STAT-5 against float64 products of all tokens at once."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from polyprune.maths.statistics import (
    InputGram,
    InputGramAndSizes,
    InputMoments,
    InputSquares,
    InputSquaresByLanguage,
)


def tokens(n_tokens: int, d_in: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(n_tokens * 1000 + d_in)
    return (torch.randn(n_tokens, d_in, generator=generator) + 0.3).to(dtype)


def relative_error(value: torch.Tensor, expected: torch.Tensor) -> float:
    return ((value.double() - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("whole_block", [2048, 16, 5])
def test_gram_is_the_float64_product(dtype, whole_block):
    """STAT-2, whole and by halves, even and odd."""
    x = tokens(300, 32, dtype)
    gram = InputGram(32, whole_block=whole_block)
    gram.update(x)
    assert relative_error(gram.total, x.double().T @ x.double()) < 1e-6
    assert torch.equal(gram.total, gram.total.T)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_squares_are_the_float64_sums(dtype):
    """STAT-1: over tokens, not over features."""
    x = tokens(300, 32, dtype)
    squares = InputSquares(32)
    squares.update(x)
    assert squares.total.shape == (32,)
    assert relative_error(squares.total, x.double().square().sum(0)) < 1e-7


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=6).filter(any))
def test_statistics_do_not_depend_on_batch_splits(sizes):
    """STAT-1, STAT-2; empty batches included.

    The sum of n squares in pairs of pairs has 2 + log2(n) roundings one after another: squares, sums, the result.
    """
    x = tokens(sum(sizes), 12)
    gram, squares = InputGram(12, whole_block=5), InputSquares(12)
    for batch in x.split(sizes):
        gram.update(batch)
        squares.update(batch)
    assert gram.n_tokens == squares.n_tokens == sum(sizes)
    assert relative_error(gram.total, x.double().T @ x.double()) < 1e-6
    roundings = 2 + math.ceil(math.log2(sum(sizes)))
    torch.testing.assert_close(squares.total.double(), x.double().square().sum(0), rtol=roundings * 2**-24, atol=0)


def test_reading_the_gram_matrix_does_not_disturb_later_updates():
    """STAT-2 is mirrored in place when read."""
    x = tokens(200, 12)
    gram = InputGram(12, whole_block=5)
    gram.update(x[:100])
    assert gram.total.isfinite().all()
    gram.update(x[100:])
    assert relative_error(gram.total, x.double().T @ x.double()) < 1e-6


@pytest.mark.parametrize("statistic", [InputGram, InputSquares])
def test_a_statistic_without_tokens_is_refused(statistic):
    with pytest.raises(ValueError, match="holds no tokens"):
        _ = statistic(4).total


def test_shortened_float32_products_are_refused():
    torch.set_float32_matmul_precision("high")
    try:
        with pytest.raises(RuntimeError, match=r"precision 'high'.*set_float32_matmul_precision\('highest'\)"):
            InputGram(4).update(tokens(3, 4))
    finally:
        torch.set_float32_matmul_precision("highest")


def test_moments_are_sums_and_variances_however_tokens_are_batched():
    """STAT-3."""
    x = 3 + torch.randn(60, 7, generator=torch.Generator().manual_seed(0))
    moments = InputMoments(7)
    for part in x.split(11):
        moments.update(part)
    torch.testing.assert_close(moments.sums, x.sum(0))
    torch.testing.assert_close(moments.variance, x.var(0, unbiased=False))
    torch.testing.assert_close(moments.total, x.square().sum(0))


def test_a_constant_input_has_no_variance_not_a_negative_one():
    """STAT-3."""
    moments = InputMoments(1)
    moments.update(torch.full((1000, 1), 0.1))
    assert 0 <= moments.variance.item() < 1e-9


def test_sizes_by_hand() -> None:
    """STAT-4: signs do not cancel, and batches are not equally long."""
    statistic = InputGramAndSizes(2)
    statistic.update(torch.tensor([[1.0, -2.0], [-3.0, 2.0]]))
    statistic.update(torch.tensor([[2.0, 8.0]]))
    assert statistic.sizes.tolist() == [2.0, 4.0]
    assert statistic.total.tolist() == [[14.0, 8.0], [8.0, 72.0]]


def test_root_mean_squares_of_languages() -> None:
    """STAT-5: each language by its own number of tokens; STAT-1 of all together."""
    x = tokens(70, 5)
    parts = []
    for of_language in x.split([50, 20]):
        parts.append(InputSquaresByLanguage(5))
        for batch in of_language.split(30):
            parts[-1].update(batch)
    whole = InputSquaresByLanguage.joined(parts)
    expected = torch.stack([x[:50].double().square().mean(0), x[50:].double().square().mean(0)]).sqrt()
    torch.testing.assert_close(whole.root_mean_squares, expected, rtol=1e-7, atol=0)
    assert whole.n_tokens == 70
    assert relative_error(whole.total, x.double().square().sum(0)) < 1e-7
    torch.testing.assert_close(parts[1].root_mean_squares, expected[1:], rtol=1e-7, atol=0)
    with pytest.raises(ValueError, match="holds no tokens"):
        _ = InputSquaresByLanguage.joined([parts[0], InputSquaresByLanguage(5)]).root_mean_squares
