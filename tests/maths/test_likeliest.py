"""The likeliest token is torch's own `argmax`, in every dtype and among equals."""

import pytest
import torch

from polyprune.maths.likeliest import likeliest


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_the_first_of_the_largest_counts(dtype: torch.dtype):
    draws = torch.Generator().manual_seed(0)
    few_values = torch.randint(0, 3, (200, 7), generator=draws).to(dtype)
    assert likeliest(few_values).tolist() == [row.index(max(row)) for row in few_values.tolist()]
    many = torch.randn(50, 3072, generator=draws).to(dtype)
    assert torch.equal(likeliest(many), many.argmax(dim=-1))
