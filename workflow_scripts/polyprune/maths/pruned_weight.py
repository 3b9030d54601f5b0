"""What the methods that also change the surviving weights return."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from polyprune.maths.checks import require_finite


class PrunedWeight(NamedTuple):
    """A matrix after pruning: 0 where `keep` is False, in the dtype it came in."""

    weight: Float[Tensor, "d_out d_in"]
    keep: Bool[Tensor, "d_out d_in"]


def in_storage_dtype(
    weight: Float[Tensor, "d_out d_in"], keep: Bool[Tensor, "d_out d_in"], dtype: torch.dtype
) -> PrunedWeight:
    """Round the weights to `dtype`, the only rounding after the updates.

    Raises:
        ValueError: they are not finite in `dtype`.
    """
    rounded = weight.to(dtype, memory_format=torch.contiguous_format)
    require_finite(rounded, f"pruned weights of a {tuple(weight.shape)} matrix in {dtype}")
    return PrunedWeight(rounded, keep.contiguous())
