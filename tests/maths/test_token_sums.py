"""Sums over tokens: exact counts, float64 over blocks, every token once."""

from __future__ import annotations

import pytest
import torch

from polyprune.maths.token_sums import sum_over_tokens


@pytest.mark.parametrize("length", [1, 1024, 1025, 5000])
def test_counts_are_exact(length: int) -> None:
    values = torch.rand(3, length, 4, generator=torch.Generator().manual_seed(0)) > 0.3
    assert torch.equal(sum_over_tokens(values), values.long().sum(dim=1).double())


def test_small_numbers_are_not_lost_in_large_sums() -> None:
    """float32 has steps of 2^17 at 2^40: only the block with the large number may lose its 1,023 ones."""
    values = torch.ones(1, 2_000_000, 1)
    values[0, 0] = 2**40
    assert sum_over_tokens(values).item() - 2**40 == pytest.approx(2_000_000, abs=1024)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_sums_equal_float64_sums(dtype: torch.dtype) -> None:
    values = torch.randn(2, 3000, 5, generator=torch.Generator().manual_seed(1)).to(dtype)
    torch.testing.assert_close(sum_over_tokens(values), values.double().sum(dim=1), rtol=1e-5, atol=1e-3)
