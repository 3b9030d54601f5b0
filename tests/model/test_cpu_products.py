"""Products that are oneDNN's while a model is calibrated: right to rounding, and nothing else changes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import linear
from torch.overrides import TorchFunctionMode

from polyprune.model.cpu_products import quick_products

CPU = torch.device("cpu")


def numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


CASES = {
    "a batch": (numbers(2, 5, 48), numbers(32, 48), None),
    "a bias": (numbers(7, 48), numbers(32, 48), numbers(32)),
    "rows between others": (numbers(7, 96)[:, :48], numbers(64, 96)[::2, ::2], None),
    "weights by columns": (numbers(7, 48), numbers(48, 32).T, None),
    "one row, seen as many": (numbers(48).expand(2, 5, 48), numbers(32, 48), None),
}


class Asked(TorchFunctionMode):
    """Counts what torch itself is asked to multiply."""

    def __init__(self) -> None:
        super().__init__()
        self.times = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.times += func is linear
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("case", CASES)
def test_products_are_right_and_not_torchs_own(case: str) -> None:
    x, weight, bias = CASES[case]
    expected = linear(x.double(), weight.double(), None if bias is None else bias.double())
    with torch.inference_mode(), Asked() as asked, quick_products(CPU):
        found = linear(x, weight, bias)
    assert asked.times == 0 and found.shape == expected.shape and found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "x, weight",
    [
        (numbers(5, 48).double(), numbers(32, 48).double()),
        (numbers(5, 48).bfloat16(), numbers(32, 48).bfloat16()),
        (numbers(48), numbers(32, 48)),
        (numbers(0, 48), numbers(32, 48)),
    ],
    ids=["float64", "bfloat16", "a vector", "no token"],
)
def test_others_are_left_to_torch(x: Tensor, weight: Tensor) -> None:
    with torch.inference_mode(), Asked() as asked, quick_products(CPU):
        found = linear(x, weight)
    assert asked.times == 1 and torch.equal(found, linear(x, weight))


def test_a_gpu_is_left_alone() -> None:
    with Asked() as asked, quick_products(torch.device("cuda")):
        linear(numbers(5, 48), numbers(32, 48))
    assert asked.times == 1
