"""Inputs and weights of one matrix."""

from __future__ import annotations

import torch
from torch import Tensor


def correlated_inputs(n_tokens: int, d_in: int, seed: int = 0) -> Tensor:
    """A few strong directions and many weak ones, as in a transformer; float64 (n_tokens, d_in)."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(d_in, d_in, generator=generator, dtype=torch.float64) / d_in**0.5
    strength = torch.arange(1, d_in + 1, dtype=torch.float64) ** -0.5
    return (torch.randn(n_tokens, d_in, generator=generator, dtype=torch.float64) * strength) @ mixing


def weights(d_out: int, d_in: int, seed: int = 1) -> Tensor:
    """Normal, float64 (d_out, d_in)."""
    return torch.randn(d_out, d_in, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
