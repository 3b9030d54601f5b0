"""Masks and codes as they are stored.

    PACK-1   bit b of byte i of a row = keep[row, 8i + b], lowest bit first; bits beyond d_in are 0
    PACK-2   codes of at most 4 bits: byte i of a row = c[row, 2i] + 16 c[row, 2i + 1]; wider codes: a byte each

PACK-1 is the layout of `numpy.packbits(keep, axis=1, bitorder="little")`.
"""

import torch
from jaxtyping import Bool, UInt8
from torch import Tensor
from torch.nn.functional import pad


def pack_bits(keep: Bool[Tensor, "d_out d_in"]) -> UInt8[Tensor, "d_out n_bytes"]:
    """PACK-1; n_bytes is d_in / 8, rounded up."""
    bits = pad(keep.to(torch.uint8), (0, -keep.shape[1] % 8))
    packed = bits[:, 0::8].clone()
    for bit in range(1, 8):
        packed |= bits[:, bit::8] << bit
    return packed


def unpack_bits(packed: UInt8[Tensor, "d_out n_bytes"], d_in: int) -> Bool[Tensor, "d_out {d_in}"]:
    """The inverse of `pack_bits`.

    Raises:
        ValueError: the bytes per row are not those of `d_in` bits, or a bit beyond `d_in` is set.
    """
    if packed.shape[1] != (d_in + 7) // 8:
        raise ValueError(
            f"a row of {d_in} bits takes {(d_in + 7) // 8} bytes, but the packed mask has {packed.shape[1]}"
        )
    shifts = torch.arange(8, dtype=torch.uint8, device=packed.device)
    bits = (packed[:, :, None] >> shifts & 1).flatten(1).bool()
    if bits[:, d_in:].any():
        raise ValueError(f"a packed mask of {d_in} columns has bits set beyond column {d_in}: not a mask of this width")
    return bits[:, :d_in].contiguous()


def pack_codes(codes: UInt8[Tensor, "d_out d_in"], bits: int) -> UInt8[Tensor, "d_out n_bytes"]:
    """PACK-2; an odd last code has its byte to itself."""
    if bits > 4:
        return codes.contiguous()
    pairs = pad(codes, (0, codes.shape[1] % 2))
    return pairs[:, 0::2] | pairs[:, 1::2] << 4


def unpack_codes(packed: UInt8[Tensor, "d_out n_bytes"], bits: int, d_in: int) -> UInt8[Tensor, "d_out {d_in}"]:
    """The inverse of `pack_codes`.

    Raises:
        ValueError: the bytes per row are not those of `d_in` codes.
    """
    n_bytes = d_in if bits > 4 else (d_in + 1) // 2
    if packed.shape[1] != n_bytes:
        raise ValueError(f"a row of {d_in} codes of {bits} bits takes {n_bytes} bytes, not {packed.shape[1]}")
    if bits > 4:
        return packed
    return torch.stack([packed & 15, packed >> 4], dim=2).flatten(1)[:, :d_in].contiguous()
