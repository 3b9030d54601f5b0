"""Sums over very many tokens: exact enough, and without a float64 copy of what is added."""

from __future__ import annotations

import torch
from torch import Tensor

_BLOCK = 1024
"""Tokens that are added up in float32 before float64 takes over; counts up to here are exact."""


def sum_over_tokens(values: Tensor) -> Tensor:
    """Sums float64 (n, width) of numbers or truth values (n, length, width)."""
    blocks = (block.sum(dim=1, dtype=torch.float32).double() for block in values.split(_BLOCK, dim=1))
    return torch.stack(list(blocks)).sum(dim=0)
