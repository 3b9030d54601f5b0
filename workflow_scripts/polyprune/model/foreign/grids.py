"""Codes, scales and zero points of a checkpoint, put together as cells hold them."""

from __future__ import annotations

import torch
from torch import Tensor

from polyprune.artifacts.weights import QuantisedWeight
from polyprune.errors import UserError
from polyprune.maths.grids import Quantised


def integers_of(bits: object, where: str) -> int:
    """Bits of a code, which cells hold in a byte.

    Raises:
        UserError: other than 2 to 8.
    """
    if not isinstance(bits, int) or not 2 <= bits <= 8:
        raise UserError(f"{where} has codes of {bits} bits; read are 2 to 8")
    return bits


def quantised(
    codes: Tensor, scales: Tensor, zeros: Tensor | None, bits: int, group_size: int | None, groups: Tensor | None = None
) -> QuantisedWeight:
    """From unsigned codes uint8 (d_out, d_in), scales and zero points (d_out, n_groups).

    `zeros` are unsigned too; None is the middle of the codes. `groups` is each column's; None: one after another.

    Raises:
        ValueError: scales, zero points or groups are not those of these codes.
    """
    d_out, d_in = codes.shape
    size = group_size or d_in
    if groups is None:
        groups = torch.arange(d_in) // size
    n_groups = scales.shape[-1] if scales.dim() > 1 else 1
    scales = scales.reshape(-1, n_groups).expand(d_out, n_groups)
    if zeros is None:
        zeros = torch.full(scales.shape, 1 << (bits - 1))
    zeros = zeros.reshape(-1, n_groups).expand(d_out, n_groups)
    if len(groups) != d_in or int(groups.max()) >= n_groups or int(groups.min()) < 0:
        raise ValueError(f"{d_in} columns in groups of {size}, but {n_groups} scales a row")
    if int(zeros.min()) < 0 or int(zeros.max()) > 255:
        raise ValueError(f"zero points from {int(zeros.min())} to {int(zeros.max())} are none of {bits}-bit codes")
    if not bool(torch.isfinite(scales.float()).all()):
        raise ValueError("a scale is not finite")
    grid = Quantised(codes, scales.float().contiguous(), zeros.to(torch.uint8).contiguous(), groups.to(torch.int32))
    return QuantisedWeight(grid, bits, group_size)
