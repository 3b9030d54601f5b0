"""Codes in 32-bit words, against words that plain Python packs: PACK-3, PACK-4, PACK-5, PACK-6."""

from __future__ import annotations

import random

import pytest
import torch
from tests.helpers.foreign import nibbles, rows, signed, stream, whole_codes

from polyprune.maths import packed_words
from polyprune.maths.packed_words import unpack_awq, unpack_one_less, unpack_stream, unpack_words


def drawn(n_rows: int, n_codes: int, bits: int) -> list[list[int]]:
    draw = random.Random(bits)
    return [[draw.randrange(1 << bits) for _ in range(n_codes)] for _ in range(n_rows)]


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("n_codes", [1, 31, 64, 77])
def test_a_stream_and_whole_codes_are_unpacked_as_they_were_packed(bits: int, n_codes: int) -> None:
    """PACK-3 and PACK-4."""
    codes = drawn(5, n_codes, bits)
    assert unpack_stream(rows(codes, lambda row: stream(row, bits)), bits, n_codes).tolist() == codes
    assert unpack_words(rows(codes, lambda row: whole_codes(row, bits)), bits, n_codes).tolist() == codes


def test_rows_are_unpacked_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_words, "_CODES_AT_ONCE", 100)
    codes = drawn(7, 40, 3)
    assert unpack_stream(rows(codes, lambda row: stream(row, 3)), 3, 40).tolist() == codes


def test_awqs_order() -> None:
    """PACK-5: the word 0x75316420 has the codes 0 to 7 in order."""
    assert unpack_awq(torch.tensor([[signed(0x75316420)]], dtype=torch.int32), 8).tolist() == [list(range(8))]
    codes = drawn(3, 24, 4)
    assert unpack_awq(rows(codes, nibbles), 24).tolist() == codes


def test_zero_points_that_are_one_less() -> None:
    """PACK-6: 0x77777777 means eights; a zero point of 0 has borrowed from the next; 3 bits each by itself."""

    def of(word: int, bits: int = 4) -> list[int]:
        return unpack_one_less(torch.tensor([[signed(word)]], dtype=torch.int32), bits, 32 // bits).tolist()[0]

    assert of(0x77777777) == [8] * 8
    assert of((0x88888880 - 0x11111111) % (1 << 32)) == [0, *[8] * 7]
    assert of(0x7F, 8) == [128, 1, 1, 1]
    threes = rows([[3] * 32], lambda row: stream(row, 3))
    assert unpack_one_less(threes, 3, 32).tolist() == [[4] * 32]
    assert unpack_one_less(rows([[7, 0] * 16], lambda row: stream(row, 3)), 3, 32).tolist() == [[0, 1] * 16]


def test_words_that_are_not_those_of_so_many_codes_are_refused() -> None:
    with pytest.raises(ValueError, match="a row of 9 codes of 4 bits takes 2 words, not 1"):
        unpack_stream(torch.zeros(2, 1, dtype=torch.int32), 4, 9)
