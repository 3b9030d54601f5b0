"""CHOL-1 to CHOL-3 against the inverse in float64; refusals."""

import math
from itertools import accumulate
from typing import Any

import pytest
import torch

from polyprune.maths.cholesky import HessianFactor, NotPositiveDefiniteError, hessian_factor


def gram_of(n_tokens: int, d_in: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(d_in)
    x = torch.randn(n_tokens, d_in, generator=generator, dtype=torch.float64)
    return x.T @ x


def upper(factor: HessianFactor) -> torch.Tensor:
    """All of U."""
    return factor.upper(slice(None))


@pytest.mark.parametrize("d_in", [1, 2, 33])
def test_factors_give_the_hessian_and_its_inverse(d_in):
    """CHOL-1 to CHOL-3."""
    gram = gram_of(100, d_in)
    factor = hessian_factor(gram, 0.01, "a test")
    hessian = gram + 0.01 * gram.diagonal().mean() * torch.eye(d_in, dtype=torch.float64)
    assert torch.equal(factor.root, factor.root.triu())
    torch.testing.assert_close(factor.root @ factor.root.T, hessian)
    inverse = torch.linalg.inv(hessian)
    torch.testing.assert_close(upper(factor).T @ upper(factor), inverse, rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(factor.inverse(), inverse, rtol=1e-10, atol=1e-14)
    assert not factor.dead.any()


def test_the_factor_is_the_one_of_the_reference_codes():
    """CHOL-2: the Cholesky factor of the explicit inverse."""
    gram = gram_of(100, 20)
    reference = torch.linalg.cholesky(torch.linalg.inv(gram), upper=True)
    factor = hessian_factor(gram, 0.0, "a test")
    torch.testing.assert_close(upper(factor), reference, rtol=1e-10, atol=1e-14)
    block = slice(7, 12)
    torch.testing.assert_close(factor.upper(block), reference[block, block], rtol=1e-10, atol=1e-14)


def test_beside_the_gram_matrix_stands_one_more_of_its_size():
    """CHOL-3: copied, damped, reversed, factored, looked through and reversed back in the same memory."""
    gram = gram_of(600, 512).float()
    before = gram.clone()
    hessian_factor(gram[:8, :8], 0.01, "a test")  # what is taken once
    with torch.profiler.profile(profile_memory=True, acc_events=True) as profiler:
        factor = hessian_factor(gram, 0.01, "a test")
    seen: Any = profiler.profiler
    events = seen.kineto_results.events()
    taken = [event.nbytes() for event in sorted(events, key=lambda one: one.start_ns()) if event.name() == "[memory]"]
    assert 1 <= max(accumulate(taken)) / gram.nbytes < 1.6
    assert torch.equal(gram, before)
    torch.testing.assert_close(
        factor.root @ factor.root.T - before,
        torch.diag(0.01 * before.diagonal().mean().expand(512)),
        rtol=1e-4,
        atol=1e-3,
    )


def test_float32_stays_close():
    """CHOL-2; bfloat16 statistics are factored in float32."""
    gram = gram_of(500, 64)
    exact = upper(hessian_factor(gram, 0.01, "a test"))
    single = upper(hessian_factor(gram.float(), 0.01, "a test"))
    assert single.dtype == torch.float32
    assert (single - exact).norm() / exact.norm() < 1e-5
    assert hessian_factor(gram.bfloat16(), 0.1, "a test").root.dtype == torch.float32


def test_dead_inputs_count_as_one_in_the_mean():
    """CHOL-1: the damping is taken after the dead inputs were set to 1."""
    gram = torch.diag(torch.tensor([4.0, 0.0, 1.0, 0.0], dtype=torch.float64))
    factor = hessian_factor(gram, 0.2, "a test")
    assert factor.dead.tolist() == [False, True, False, True]
    damping = 0.2 * (4 + 1 + 1 + 1) / 4
    expected = (torch.tensor([4.0, 1.0, 1.0, 1.0], dtype=torch.float64) + damping) ** -0.5
    torch.testing.assert_close(upper(factor), torch.diag(expected))


def test_the_given_matrix_is_left_alone():
    gram = gram_of(50, 8)
    gram[3] = gram[:, 3] = 0
    before = gram.clone()
    hessian_factor(gram, 0.01, "a test")
    assert torch.equal(gram, before)


def test_a_matrix_that_is_not_positive_definite_is_refused():
    gram = torch.ones(3, 3, dtype=torch.float64)  # rank 1
    with pytest.raises(
        NotPositiveDefiniteError,
        match=r"layer 5 down_proj \(3 inputs\) is not positive definite: smallest diagonal 1 with damping 0; "
        r"raise `damping` in config.yaml or use more calibration tokens",
    ):
        hessian_factor(gram, 0.0, "layer 5 down_proj")
    assert hessian_factor(gram, 0.01, "layer 5 down_proj").root.isfinite().all()


def test_a_negative_pivot_is_refused():
    with pytest.raises(NotPositiveDefiniteError, match="smallest diagonal -1 "):
        hessian_factor(torch.diag(torch.tensor([2.0, -1.0])), 0.0, "layer 0 q_proj")


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_statistics_that_are_not_finite_are_refused(bad):
    gram = torch.eye(3)
    gram[0, 2] = bad
    with pytest.raises(ValueError, match="Gram matrix of layer 1 o_proj: 1 of 9 values are NaN or infinite"):
        hessian_factor(gram, 0.01, "layer 1 o_proj")


def test_only_dead_inputs_are_refused():
    with pytest.raises(ValueError, match="all 3 inputs are 0 on every calibration token"):
        hessian_factor(torch.zeros(3, 3), 0.01, "layer 1 o_proj")
