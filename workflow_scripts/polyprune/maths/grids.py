"""Integer grids for weights, and rounding to the nearest level, the baseline that reads no calibration data.

    GRID-1   asymmetric: Δ = (max(w,0) − min(w,0)) / (2^b − 1), z = round(−min(w,0) / Δ)   over a row's group of columns
             symmetric:  Δ = 2 max|w| / (2^b − 1),              z = 2^(b−1)                a group of zeros: max|w| = 1
    GRID-2   c = clamp(round(w / Δ) + z, 0, 2^b − 1)     code
    GRID-3   ŵ = Δ (c − z)                               the value it stands for
             ŵ = Δ (c − z) / s_j                         where column j was scaled before (AWQ)

The grids of IST-DASLab/gptq (GPTQ: Frantar et al. 2023, arXiv:2210.17323), but for one quirk: there a symmetric group
without negative weights keeps min = 0, which halves its range and clips its largest weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float32, Int32, Int64, UInt8
from torch import Tensor


@dataclass(frozen=True)
class GridSettings:
    """How weights are put on a grid; the last two matter to GPTQ only."""

    bits: int
    group_size: int
    symmetric: bool
    act_order: bool = False
    static_groups: bool = False

    def __post_init__(self):
        if not 2 <= self.bits <= 8:
            raise ValueError(f"bits must be 2 to 8, got {self.bits}")
        if self.group_size < 1:
            raise ValueError(f"group_size must be positive, got {self.group_size}")


@dataclass(frozen=True)
class Grid:
    """GRID-1 for one group of columns: a scale Δ and a zero z per row."""

    scale: Float[Tensor, " rows"]
    zero: Float[Tensor, " rows"]
    highest_code: int

    @classmethod
    def of(cls, columns: Float[Tensor, "width rows"], settings: GridSettings) -> "Grid":
        """GRID-1; columns first, as all walks along columns have them."""
        lowest, highest = columns.amin(0).clamp(max=0), columns.amax(0).clamp(min=0)
        if settings.symmetric:
            highest = torch.maximum(-lowest, highest)
            lowest = -highest
        all_zero = lowest == highest
        lowest, highest = lowest.masked_fill(all_zero, -1), highest.masked_fill(all_zero, 1)
        highest_code = 2**settings.bits - 1
        scale = (highest - lowest) / highest_code
        zero = torch.full_like(scale, 2 ** (settings.bits - 1)) if settings.symmetric else (-lowest / scale).round()
        return cls(scale, zero, highest_code)

    def codes(self, weights: Float[Tensor, "*width rows"]) -> Float[Tensor, "*width rows"]:
        """GRID-2, whole numbers in the dtype of the weights."""
        return ((weights / self.scale).round() + self.zero).clamp(0, self.highest_code)

    def values(self, codes: Float[Tensor, "*width rows"]) -> Float[Tensor, "*width rows"]:
        """GRID-3."""
        return self.scale * (codes - self.zero)


@dataclass(frozen=True)
class Quantised:
    """A matrix on its grids; `dequantise` gives its values. None in `column_scales`: no column was scaled."""

    codes: UInt8[Tensor, "d_out d_in"]
    scales: Float32[Tensor, "d_out n_groups"]
    zeros: UInt8[Tensor, "d_out n_groups"]
    group_of_column: Int32[Tensor, " d_in"]
    column_scales: Float32[Tensor, " d_in"] | None = None

    @classmethod
    def of(
        cls, codes: UInt8[Tensor, "d_in d_out"], grids: Sequence[Grid], group_of_column: Int64[Tensor, " d_in"]
    ) -> "Quantised":
        """From codes with columns first and one grid per group."""
        scales = torch.stack([grid.scale for grid in grids], dim=1).float()
        zeros = torch.stack([grid.zero for grid in grids], dim=1).to(torch.uint8)
        return cls(codes.T.contiguous(), scales, zeros, group_of_column.int())


def round_to_nearest(weight: Float[Tensor, "d_out d_in"], settings: GridSettings) -> Quantised:
    """Groups of neighbouring columns, each weight to the nearest level of its group's grid (GRID-1, GRID-2)."""
    columns = weight.T.to(torch.promote_types(weight.dtype, torch.float32))
    groups = columns.split(settings.group_size)
    grids = [Grid.of(group, settings) for group in groups]
    codes = torch.cat([grid.codes(group) for grid, group in zip(grids, groups, strict=True)])
    group_of_column = torch.arange(len(columns), device=weight.device) // settings.group_size
    return Quantised.of(codes.to(torch.uint8), grids, group_of_column)


def dequantise(quantised: Quantised, dtype: torch.dtype = torch.float32) -> Float[Tensor, "d_out d_in"]:
    """GRID-3, computed in float32."""
    group = quantised.group_of_column.long()
    steps = quantised.codes.float() - quantised.zeros.float()[:, group]
    values = steps * quantised.scales[:, group]
    return (values if quantised.column_scales is None else values / quantised.column_scales).to(dtype)
