"""What a cell holds of one weight matrix: a mask, a mask with values, or codes on a grid. And as which tensors.

    SparseWeight       keep     uint8  [d_out, ceil(d_in / 8)]   bit 1 = weight kept (PACK-1)
                       values   dtype of the model  [n_kept]     kept weights, row by row; only if they changed
    QuantisedWeight    codes    uint8  [d_out, ceil(d_in / 2)]   two 4-bit codes a byte, or [d_out, d_in] (PACK-2)
                       scales   float32  [d_out, n_groups]
                       zeros    uint8  [d_out, n_groups]
                       groups   int32  [d_in]                    group of each column
                       columns  float32  [d_in]                  what each was multiplied by before; only if it was

A quantised weight is scale · (code − zero), divided by its column's factor if there is one, computed in float32 and
cast to the dtype of the model (GRID-3).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from polyprune.errors import UserError
from polyprune.maths.grids import Quantised, dequantise
from polyprune.maths.packing import pack_bits, pack_codes, unpack_bits, unpack_codes
from polyprune.maths.selection import select, zero_unless


@dataclass(frozen=True)
class SparseWeight:
    """What is kept of one weight matrix; `values` is None where the kept weights are the dense ones.

    `whole` is the compressed matrix if it is at hand, so that `dense` need not put it together again.
    """

    keep: Tensor
    values: Tensor | None
    whole: Tensor | None = None

    @classmethod
    def of(cls, weight: Tensor, keep: Tensor, changed: bool) -> SparseWeight:
        """From the compressed matrix and its mask, both (d_out, d_in)."""
        return cls(keep, select(weight, keep) if changed else None)

    @classmethod
    def updated(cls, weight: Tensor, keep: Tensor) -> SparseWeight:
        """From the compressed matrix, 0 where nothing is kept, and its mask, both (d_out, d_in)."""
        return cls(keep, select(weight, keep), weight)

    @property
    def columns(self) -> int:
        """d_in."""
        return self.keep.shape[1]

    @property
    def removed(self) -> tuple[int, int]:
        """How many weights are removed, and how many there are."""
        return self.keep.numel() - int(self.keep.sum()), self.keep.numel()

    def dense(self, original: Tensor) -> Tensor:
        """The compressed matrix, given the uncompressed one, in its dtype and on its device."""
        if self.whole is not None:
            return self.whole.to(original)
        keep = self.keep.to(original.device)
        if self.values is None:
            return zero_unless(keep, original)
        weight = torch.zeros_like(original)
        weight[keep] = self.values.to(original)
        return weight

    def tensors(self) -> dict[str, Tensor]:
        """As the file holds it, packed where it is and then in host memory; `values` only if they changed."""
        kept = {"keep": pack_bits(self.keep).cpu()}
        return kept if self.values is None else kept | {"values": self.values.cpu()}


@dataclass(frozen=True)
class QuantisedWeight:
    """A weight matrix as codes on grids of `bits` bits, one a row and group of `group_size` columns; None is a row."""

    grid: Quantised
    bits: int
    group_size: int | None

    @property
    def columns(self) -> int:
        """d_in."""
        return self.grid.codes.shape[1]

    def dense(self, original: Tensor) -> Tensor:
        """The matrix that the codes stand for, in the dtype and on the device of the uncompressed one."""
        return dequantise(self.grid).to(original)

    def tensors(self) -> dict[str, Tensor]:
        """As the file holds it, packed where it is and then in host memory."""
        grid = self.grid
        codes = pack_codes(grid.codes, self.bits)
        found = {"codes": codes, "scales": grid.scales, "zeros": grid.zeros, "groups": grid.group_of_column}
        if grid.column_scales is not None:
            found["columns"] = grid.column_scales
        return {name: tensor.cpu().contiguous() for name, tensor in found.items()}


CellWeight = SparseWeight | QuantisedWeight


def read_weight(
    read: Callable[[str], Tensor | None], d_in: int, quantisation: dict[str, Any] | None, where: str
) -> CellWeight:
    """The weight whose tensors `read` finds by the names above, None for one that is not there.

    Raises:
        UserError: tensors are missing; `where` says of what.
    """
    keep = read("keep")
    if keep is not None:
        return SparseWeight(unpack_bits(keep, d_in), read("values"))
    codes, scales, zeros, groups = (read(name) for name in ("codes", "scales", "zeros", "groups"))
    if codes is None or scales is None or zeros is None or groups is None or quantisation is None:
        raise UserError(f"{where} is neither a mask nor whole codes: the cell is damaged; delete it and run again")
    bits, group_size = quantisation["bits"], quantisation["group_size"]
    grid = Quantised(unpack_codes(codes, bits, d_in), scales, zeros, groups, read("columns"))
    return QuantisedWeight(grid, bits, group_size)
