"""Codes in 32-bit words, as tools for quantisation store them; a word's bits are counted from the lowest.

PACK-3   code i of a row occupies bits i·b … (i + 1)·b − 1 of the row's words, one after another: where b does not
         divide 32, a code may straddle two words               AutoGPTQ, GPTQModel, compressed-tensors since 2025
PACK-4   code j of a word occupies bits j·b … (j + 1)·b − 1, the bits beyond ⌊32 / b⌋ codes are idle
                                                                compressed-tensors before; PACK-3 where b divides 32
PACK-5   nibble j of a word is its code (0, 2, 4, 6, 1, 3, 5, 7)_j                              AutoAWQ's GEMM layout
PACK-6   GPTQ's first layout stores z − 1 for each zero point z, modulo 2^b; where b divides 32, GPTQModel subtracts
         it from whole words, in which a borrow moves on to the next code: so 1 is added to all codes of a word at
         once, modulo 2³²
"""

import torch
from jaxtyping import Int32, UInt8
from torch import Tensor

AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
_WORD = 32
_CODES_AT_ONCE = 1 << 22
"""Codes unpacked at a time: 64-bit numbers are needed on the way."""


def unpack_stream(words: Int32[Tensor, "rows n_words"], bits: int, n_codes: int) -> UInt8[Tensor, "rows {n_codes}"]:
    """PACK-3; bits beyond the last code are not looked at.

    Raises:
        ValueError: the words of a row are not those of so many codes.
    """
    first = torch.arange(n_codes, device=words.device) * bits
    return _unpack(words, bits, first, (n_codes * bits + _WORD - 1) // _WORD)


def unpack_words(words: Int32[Tensor, "rows n_words"], bits: int, n_codes: int) -> UInt8[Tensor, "rows {n_codes}"]:
    """PACK-4; raises `ValueError` like `unpack_stream`."""
    codes, a_word = torch.arange(n_codes, device=words.device), _WORD // bits
    return _unpack(words, bits, codes // a_word * _WORD + codes % a_word * bits, (n_codes + a_word - 1) // a_word)


def unpack_awq(words: Int32[Tensor, "rows n_words"], n_codes: int) -> UInt8[Tensor, "rows {n_codes}"]:
    """PACK-5, of 4-bit codes; raises `ValueError` like `unpack_stream`."""
    nibble = torch.tensor(AWQ_ORDER, device=words.device).argsort()
    codes = torch.arange(n_codes, device=words.device)
    return _unpack(words, 4, codes // 8 * _WORD + nibble[codes % 8] * 4, (n_codes + 7) // 8)


def pack_stream(codes: UInt8[Tensor, "rows n_codes"], bits: int) -> Int32[Tensor, "rows n_words"]:
    """PACK-3; bits beyond the last code are 0."""
    n_words = (codes.shape[1] * bits + _WORD - 1) // _WORD
    return _pack(codes, torch.arange(codes.shape[1], device=codes.device) * bits, n_words)


def pack_awq(codes: UInt8[Tensor, "rows n_codes"]) -> Int32[Tensor, "rows n_words"]:
    """PACK-5, of 4-bit codes."""
    nibble = torch.tensor(AWQ_ORDER, device=codes.device).argsort()
    places = torch.arange(codes.shape[1], device=codes.device)
    return _pack(codes, places // 8 * _WORD + nibble[places % 8] * 4, (codes.shape[1] + 7) // 8)


def pack_one_less(codes: UInt8[Tensor, "rows n_codes"], bits: int) -> Int32[Tensor, "rows n_words"]:
    """PACK-3 of zero points as PACK-6 stores them."""
    if _WORD % bits:
        return pack_stream((codes.short() - 1 & (1 << bits) - 1).to(torch.uint8), bits)
    ones = sum(1 << first for first in range(0, _WORD, bits))
    return _as_words(pack_stream(codes, bits).long() - ones)


def _pack(codes: Tensor, first: Tensor, n_words: int) -> Tensor:
    """Codes into words, their lowest bits at `first` of a row; no two share a bit, so that sums are unions."""
    low, shift = first // _WORD, first % _WORD
    words = torch.zeros(len(codes), n_words + 1, dtype=torch.int64, device=codes.device)
    rows = max(1, _CODES_AT_ONCE // max(1, len(first)))
    for part, out in zip(codes.split(rows), words.split(rows), strict=True):
        wide = part.long() << shift
        out.index_add_(1, low, wide & 0xFFFFFFFF)
        out.index_add_(1, low + 1, wide >> _WORD)
    return _as_words(words[:, :n_words])


def _as_words(numbers: Tensor) -> Tensor:
    """The lowest 32 bits of 64, signed."""
    wrapped = numbers & 0xFFFFFFFF
    return torch.where(wrapped >= 1 << 31, wrapped - (1 << 32), wrapped).to(torch.int32)


def _unpack(words: Tensor, bits: int, first: Tensor, n_words: int) -> Tensor:
    """Codes whose lowest bits lie at `first` of a row."""
    if words.shape[1] != n_words:
        raise ValueError(f"a row of {len(first)} codes of {bits} bits takes {n_words} words, not {words.shape[1]}")
    low, shift = first // _WORD, first % _WORD
    high = (low + 1).clamp(max=max(n_words - 1, 0))
    codes = torch.empty(len(words), len(first), dtype=torch.uint8, device=words.device)
    rows = max(1, _CODES_AT_ONCE // max(1, len(first)))
    for part, out in zip(words.split(rows), codes.split(rows), strict=True):
        wide = part.long() & 0xFFFFFFFF
        out.copy_((wide[:, low] >> shift | wide[:, high] << (_WORD - shift)) & (1 << bits) - 1)
    return codes


def unpack_one_less(words: Int32[Tensor, "rows n_words"], bits: int, n_codes: int) -> UInt8[Tensor, "rows {n_codes}"]:
    """PACK-3 of zero points that are stored by PACK-6; raises `ValueError` like `unpack_stream`."""
    if _WORD % bits:
        return unpack_stream(words, bits, n_codes) + 1 & (1 << bits) - 1
    total = (words.long() + sum(1 << first for first in range(0, _WORD, bits))) & 0xFFFFFFFF
    return unpack_stream(torch.where(total >= 1 << 31, total - (1 << 32), total).to(torch.int32), bits, n_codes)
