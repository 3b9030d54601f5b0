"""One bit per weight: masks as they are stored.

    PACK-1   bit b of byte i of a row = keep[row, 8i + b], lowest bit first; bits beyond d_in are 0

The layout of `numpy.packbits(keep, axis=1, bitorder="little")`.
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
