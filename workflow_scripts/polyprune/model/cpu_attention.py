"""Attention under a causal mask on a CPU, without what the mask hides behind each query.

torch's kernel leaves later keys out where it is told that attention is causal, but multiplies all that a mask hides. By
blocks of queries, each with the keys up to its last one, that is a good half of the square, with the same weights to
rounding.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

BLOCK = 64
"""Queries of a block. By 32 to 96 time differs by 5 %, and grows from there on (docs/performance.md)."""


def quick_attention(device: torch.device) -> AbstractContextManager[object]:
    """Within: on a CPU attention under a mask (…, length, length) is by blocks; all such masks must be causal."""
    return _ByBlocks() if device.type == "cpu" else nullcontext()


class _ByBlocks(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return (_attend if func is scaled_dot_product_attention else func)(*args, **(kwargs or {}))


def _attend(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, *others: Any, **options: Any
) -> Tensor:
    """As torch's, of states (n_sequences, n_heads, length, d_head)."""
    length = query.shape[-2]
    if attn_mask is None or attn_mask.shape[-2:] != (length, length):
        return scaled_dot_product_attention(query, key, value, attn_mask, *others, **options)
    blocks = [
        scaled_dot_product_attention(
            query[..., start:stop, :],
            key[..., :stop, :],
            value[..., :stop, :],
            attn_mask[..., start:stop, :stop],
            *others,
            **options,
        )
        for start in range(0, length, BLOCK)
        for stop in [min(start + BLOCK, length)]
    ]
    return torch.cat([block.transpose(-3, -2) for block in blocks], dim=-3).transpose(-3, -2)
