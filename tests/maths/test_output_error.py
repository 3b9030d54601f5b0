"""ERR-1 against the outputs themselves."""

import pytest
import torch

from polyprune.maths.output_error import output_error


@pytest.mark.parametrize("rows", [5, 32, 64])
def test_relative_output_error_is_that_of_the_products(rows):
    """ERR-1: exact up to 32 rows, and for 64 over every second."""
    generator = torch.Generator().manual_seed(0)
    x, weight = torch.randn(50, 12, generator=generator), torch.randn(rows, 12, generator=generator)
    after = weight * (torch.rand(rows, 12, generator=generator) < 0.5)
    lost, original = output_error(weight, after, x.T @ x)
    taken = slice(None, None, max(1, rows // 32))
    every = max(1, rows // 32)
    assert lost == pytest.approx(every * ((weight - after)[taken] @ x.T).square().sum().item(), rel=1e-4)
    assert original == pytest.approx(every * (weight[taken] @ x.T).square().sum().item(), rel=1e-4)


def test_without_a_gram_matrix_inputs_count_as_uncorrelated():
    """ERR-1 with the diagonal, and with nothing."""
    weight, after = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 2.0]])
    assert output_error(weight, after, torch.tensor([3.0, 5.0])) == (3.0, 3.0 + 20.0)
    assert output_error(weight, after, None) == (1.0, 5.0)
