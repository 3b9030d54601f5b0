"""Attention by blocks of queries: right to rounding, a good half of the square, and nothing else changes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

from polyprune.evaluation.packing import collate, pack
from polyprune.model.cpu_attention import BLOCK, quick_attention

CPU = torch.device("cpu")


class Asked(TorchFunctionMode):
    """Counts the pairs of queries and keys that torch itself is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[int, int]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is scaled_dot_product_attention:
            self.calls.append((args[0].shape[-2], args[1].shape[-2]))
        return func(*args, **(kwargs or {}))


def numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def by_hand(query: Tensor, key: Tensor, value: Tensor, visible: Tensor, bias: Tensor | float = 0.0) -> Tensor:
    query, key, value = query.double(), key.double(), value.double()
    scores = (query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5 + bias).masked_fill(~visible, -torch.inf)
    return scores.softmax(dim=-1) @ value


def packed_mask() -> Tensor:
    """Of two rows of a batch with branches of two questions each, the second with padding."""
    prompts = [[5] * 80 + [row] * 30 + [question] * 5 for row in (1, 2) for question in (3, 4)]
    pairs = [(prompt, [6 + option] * (20 - prompt[80])) for prompt in prompts for option in range(3)]
    mask = collate(pack(pairs, 2048), CPU).mask
    assert mask is not None and mask.shape[0] == 2 and mask.shape[-1] % BLOCK
    return mask


@pytest.mark.parametrize("kind", ["of packed rows", "of bool", "added", "with a bias"])
def test_attention_is_right_and_hidden_keys_are_left_out(kind: str) -> None:
    visible = packed_mask() if kind == "of packed rows" else torch.ones(1, 1, 201, 201, dtype=torch.bool).tril()
    length = visible.shape[-1]
    query, key, value = numbers(2, 4, length, 16), numbers(2, 4, length, 16) + 0.1, numbers(2, 4, length, 24)
    bias = numbers(1, 4, length, length) if kind == "with a bias" else torch.zeros(1)
    mask = torch.where(visible, bias, torch.finfo(torch.float32).min) if kind in ("added", "with a bias") else visible
    with torch.inference_mode(), Asked() as asked, quick_attention(CPU):
        found = scaled_dot_product_attention(query, key, value, attn_mask=mask)
    expected = by_hand(query, key, value, visible, bias.double())
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-5)
    assert found.transpose(1, 2).is_contiguous(), "as torch lays it out, so that no model copies it"
    assert [stop for _, stop in asked.calls] == [*range(BLOCK, length, BLOCK), length]
    assert sum(rows for rows, _ in asked.calls) == length


def test_keys_that_queries_share_are_not_repeated() -> None:
    query, key, value = numbers(1, 4, 100, 16), numbers(1, 2, 100, 16), numbers(1, 2, 100, 16) + 0.1
    visible = torch.ones(100, 100, dtype=torch.bool).tril()
    with torch.inference_mode(), quick_attention(CPU):
        found = scaled_dot_product_attention(query, key, value, visible, scale=0.25, enable_gqa=True)
    repeated = [each.repeat_interleave(2, dim=1) for each in (key, value)]
    expected = by_hand(query, repeated[0], repeated[1], visible)
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "device, length, mask",
    [
        ("cuda", 200, torch.ones(200, 200, dtype=torch.bool).tril()),
        ("cpu", 200, None),
        ("cpu", 1, torch.ones(1, 200, dtype=torch.bool)),
        ("cpu", 70, torch.ones(70, 200, dtype=torch.bool)),
        ("cpu", 200, torch.ones(1, 200, dtype=torch.bool)),
    ],
    ids=["a GPU", "no mask", "one token after others", "tokens after others", "what is padding alone"],
)
def test_others_are_left_to_torch(device: str, length: int, mask: Tensor | None) -> None:
    query, key, value = numbers(1, 2, length, 16), numbers(1, 2, 200, 16), numbers(1, 2, 200, 16) + 0.1
    with torch.inference_mode(), Asked() as asked, quick_attention(torch.device(device)):
        found = scaled_dot_product_attention(query, key, value, attn_mask=mask)
    assert asked.calls == [(length, 200)]
    assert torch.equal(found, scaled_dot_product_attention(query, key, value, attn_mask=mask))
