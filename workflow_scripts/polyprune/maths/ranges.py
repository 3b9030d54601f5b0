"""How wide the inputs of a matrix range, and which of them are salient.

    RANGE-1   r_j = max_t x_tj − min_t x_tj                     range of input feature j over tokens t
    RANGE-2   S   = the ⌈d_in / 100⌉ features with largest m_j   salient: the mean size m_j is STAT-4
    RANGE-3   |S ∩ S'| / |S ∪ S'|                                overlap of the salient features of two texts

A scale of quantisation must span the range of what it rounds, and AWQ (Lin et al. 2024, arXiv:2306.00978) protects the
hundredth of the features that are largest in its calibration text. Chimoto et al. 2026 (arXiv:2601.18306) trace
languages that lose more in a quantised model to activations that range otherwise there.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor

from polyprune.maths.statistics import absolute_sums

SALIENT_SHARE = 100
"""One in so many features is salient: 1 %, as in AWQ's paper."""


class InputRanges:
    """RANGE-1 and STAT-4: per input feature the least, the largest and the mean absolute value over all tokens seen."""

    def __init__(self, d_in: int, device: torch.device | str = "cpu"):
        self.n_tokens = 0
        self._lowest = torch.full((d_in,), torch.inf, device=device)
        self._highest = torch.full((d_in,), -torch.inf, device=device)
        self._sizes = torch.zeros(d_in, dtype=torch.float64, device=device)

    def update(self, x: Float[Tensor, "n_tokens d_in"]) -> None:
        """Add a batch of tokens."""
        lowest, highest = torch.aminmax(x, dim=0)
        self._lowest = torch.minimum(self._lowest, lowest.float())
        self._highest = torch.maximum(self._highest, highest.float())
        self._sizes += absolute_sums(x)
        self.n_tokens += len(x)

    def include(self, other: InputRanges) -> None:
        """Add the tokens that another has seen."""
        self._lowest = torch.minimum(self._lowest, other._lowest)
        self._highest = torch.maximum(self._highest, other._highest)
        self._sizes += other._sizes
        self.n_tokens += other.n_tokens

    @property
    def lowest(self) -> Float32[Tensor, " d_in"]:
        """min_t x_tj; infinite where no token was seen."""
        return self._lowest

    @property
    def highest(self) -> Float32[Tensor, " d_in"]:
        """max_t x_tj; minus infinity likewise."""
        return self._highest

    @property
    def sizes(self) -> Float32[Tensor, " d_in"]:
        """m_j; at least one token was seen."""
        return (self._sizes / self.n_tokens).float()


def salient(sizes: Float32[Tensor, " d_in"]) -> Bool[Tensor, " d_in"]:
    """RANGE-2; of equal features the first."""
    n_salient = -(-len(sizes) // SALIENT_SHARE)
    found = torch.zeros(len(sizes), dtype=torch.bool, device=sizes.device)
    found[sizes.argsort(descending=True, stable=True)[:n_salient]] = True
    return found


def salient_overlap(first: Bool[Tensor, " d_in"], second: Bool[Tensor, " d_in"]) -> float:
    """RANGE-3."""
    return int((first & second).sum()) / int((first | second).sum())
