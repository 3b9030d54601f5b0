"""The layouts of compressed-tensors, as llm-compressor writes them.

Integers on grids, packed or a byte each, and bit masks of what is kept; a checkpoint may have both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from polyprune.artifacts.weights import QuantisedWeight
from polyprune.errors import UserError
from polyprune.maths.grids import dequantise
from polyprune.maths.packed_words import unpack_stream, unpack_words
from polyprune.maths.packing import unpack_bits
from polyprune.model.foreign.grids import integers_of, quantised
from polyprune.model.foreign.tensors import ForeignTensors

_QUANTISED = ("pack-quantized", "naive-quantized", "int-quantized", "dense")
_SPARSE = ("dense", "sparse-bitmask", "sparse-24-bitmask")
_STRATEGIES = ("group", "channel", "tensor")
_OF_INPUTS = ("input_scale", "input_zero_point", "input_g_idx")
"""Of activations that the tool quantises; a remark tells of them."""


class CompressedTensors:
    """What quantization_config says of the files.

    weight_packed int32 along d_in (PACK-3 or PACK-4), or weight int8, signed; weight_scale (d_out, n_groups);
    weight_zero_point int8 likewise, or int32 along d_out; weight_g_idx (d_in). compressed, bitmask uint8 (d_out,
    d_in / 8) as PACK-1, shape.
    """

    def __init__(self, tensors: ForeignTensors, about: dict[str, Any], where: str) -> None:
        """Raises `UserError` for formats, numbers and strategies that are not read, by name."""
        self.tensors, self.remarks = tensors, []
        sparsity = about.get("sparsity_config") or {}
        groups = [group for group in (about.get("config_groups") or {}).values() if isinstance(group, Mapping)]
        formats = {about.get("format"), *(group.get("format") for group in groups)} - {None, "mixed-precision"}
        _only(formats, _QUANTISED, where, "in the format")
        _only({sparsity.get("format")} - {None}, _SPARSE, where, "sparse in the format")
        if about.get("transform_config"):
            raise UserError(f"{where} has rotated weights (transform_config), which are not read")
        weights = [group["weights"] for group in groups if group.get("weights")]
        _only({each.get("type", "int") for each in weights}, ("int",), where, "quantised to numbers of type")
        _only({each.get("strategy") for each in weights} - {None}, _STRATEGIES, where, "quantised by")
        shapes = {(each.get("num_bits"), each.get("group_size")) for each in weights}
        if len(shapes) > 1:
            raise UserError(
                f"{where} has matrices of several widths or groups ({sorted(map(str, shapes))}), a cell one"
            )
        bits, size = next(iter(shapes), (None, None))
        self.bits = integers_of(bits, where) if weights else None
        self.group_size: int | None = size if isinstance(size, int) and size > 0 else None
        if any(group.get("input_activations") for group in groups):
            self.remarks.append("its tool also quantises activations, which the cell does not")

    def parts(self, name: str) -> list[str]:
        of_codes = ("packed", "scale", "zero_point", "shape", "g_idx")
        of_mask = ("compressed", "bitmask", "row_offsets", "shape", *(_OF_INPUTS if self.remarks else ()))
        return [*(f"{name}.weight_{part}" for part in of_codes), *(f"{name}.{part}" for part in of_mask)]

    def read(self, name: str) -> Tensor | QuantisedWeight | None:
        stored = self._from_mask(name) if f"{name}.bitmask" in self.tensors else None
        if f"{name}.weight_scale" not in self.tensors:
            return stored
        if self.bits is None:
            raise ValueError("it has scales, and config.json says of no number of bits")
        scale = self.tensors.tensor(f"{name}.weight_scale")
        offset = 1 << (self.bits - 1)
        if f"{name}.weight_packed" in self.tensors:
            return self._packed(name, self.bits, scale)
        stored = self.tensors.tensor(f"{name}.weight") if stored is None else stored
        zeros = self._zeros(name, self.bits)
        if not stored.is_floating_point():
            return self._grid(name, _unsigned(stored, offset, self.bits), scale, zeros)
        return self._frozen(name, stored, scale, zeros)

    def _grid(self, name: str, codes: Tensor, scale: Tensor, zeros: Tensor | None) -> QuantisedWeight:
        assert self.bits is not None
        g_idx = f"{name}.weight_g_idx"
        groups = self.tensors.tensor(g_idx) if g_idx in self.tensors else None
        return quantised(codes, scale, zeros, self.bits, self.group_size, groups)

    def _packed(self, name: str, bits: int, scale: Tensor) -> QuantisedWeight:
        """Codes in words, which are one stream or as many as fit each word: the width of a row tells."""
        words = self.tensors.tensor(f"{name}.weight_packed")
        d_in = int(self.tensors.tensor(f"{name}.weight_shape").flatten()[1])
        unpack = unpack_stream if words.shape[1] == (d_in * bits + 31) // 32 else unpack_words
        codes, zeros = unpack(words, bits, d_in), self._zeros(name, bits)
        if zeros is not None and zeros.dtype == torch.int32:
            zeros = unpack(zeros.T.contiguous(), bits, len(codes)).T
        return self._grid(name, codes, scale, zeros)

    def _zeros(self, name: str, bits: int) -> Tensor | None:
        """Zero points (d_out, n_groups), unsigned, or packed in int32; None where there are none."""
        if (stored := f"{name}.weight_zero_point") not in self.tensors:
            return None
        found = self.tensors.tensor(stored)
        return found if found.dtype == torch.int32 else found.short() + (1 << (bits - 1))

    def _frozen(self, name: str, weight: Tensor, scale: Tensor, zeros: Tensor | None) -> QuantisedWeight:
        """Weights that lie on their grids, with the scales beside them."""
        assert self.bits is not None
        offset, highest = 1 << (self.bits - 1), (1 << self.bits) - 1
        draft = self._grid(name, torch.zeros_like(weight, dtype=torch.uint8), scale, zeros)
        group = draft.grid.group_of_column.long()
        middle = torch.full_like(draft.grid.zeros, offset) if zeros is None else draft.grid.zeros
        steps = (weight.float() / draft.grid.scales[:, group]).round() + middle.float()[:, group]
        found = self._grid(name, steps.clamp(0, highest).to(torch.uint8), scale, zeros)
        if not torch.equal(dequantise(found.grid).to(weight.dtype), weight):
            raise ValueError("its weights do not lie on the grid of its scales")
        return found

    def _from_mask(self, name: str) -> Tensor:
        """What is kept, scattered into zeros: row after row, or as many in each row."""
        kept, bitmask = self.tensors.tensor(f"{name}.compressed"), self.tensors.tensor(f"{name}.bitmask")
        d_out, d_in = (int(each) for each in self.tensors.tensor(f"{name}.shape").flatten())
        keep = unpack_bits(bitmask, d_in)
        if len(keep) != d_out or int(keep.sum()) != kept.numel():
            raise ValueError(f"{kept.numel()} values for {int(keep.sum())} bits of a mask of {len(keep)} rows")
        weight = torch.zeros(d_out, d_in, dtype=kept.dtype)
        weight[keep] = kept.flatten()
        return weight


def _unsigned(codes: Tensor, offset: int, bits: int) -> Tensor:
    moved = codes.int() + offset
    if int(moved.min()) < 0 or int(moved.max()) >= 1 << bits:
        raise ValueError(f"codes from {int(codes.min())} to {int(codes.max())} are none of {bits} bits")
    return moved.to(torch.uint8)


def _only(found: set[Any], known: tuple[str, ...], where: str, what: str) -> None:
    if unknown := sorted(str(each) for each in found - set(known)):
        raise UserError(
            f"{where} is {what} {unknown[0]}, which is not read; read are {', '.join(known)}: have its tool write "
            "plain weights"
        )
