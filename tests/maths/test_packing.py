"""PACK-1 against numpy.packbits, PACK-2 by hand and back."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from polyprune.maths.packing import pack_bits, pack_codes, unpack_bits, unpack_codes


@settings(deadline=None)
@given(st.integers(0, 6), st.integers(1, 40), st.integers(0, 2**32))
def test_packing_is_numpy_packbits_and_comes_back(d_out, d_in, seed):
    """PACK-1."""
    keep = torch.rand(d_out, d_in, generator=torch.Generator().manual_seed(seed)) < 0.5
    packed = pack_bits(keep)
    assert np.array_equal(packed.numpy(), np.packbits(keep.numpy(), axis=1, bitorder="little"))
    assert torch.equal(unpack_bits(packed, d_in), keep)


def test_lowest_bit_is_the_first_column():
    """PACK-1: columns 0, 3 and 8."""
    keep = torch.zeros(1, 9, dtype=torch.bool)
    keep[0, [0, 3, 8]] = True
    assert pack_bits(keep).tolist() == [[0b00001001, 0b00000001]]


def test_a_mask_of_another_width_is_refused():
    packed = pack_bits(torch.ones(2, 16, dtype=torch.bool))
    with pytest.raises(ValueError, match="17 bits takes 3 bytes, but the packed mask has 2"):
        unpack_bits(packed, 17)
    with pytest.raises(ValueError, match="bits set beyond column 12"):
        unpack_bits(packed, 12)


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 8])
@pytest.mark.parametrize("d_in", [1, 2, 7, 8])
def test_codes_come_back(bits, d_in):
    """PACK-2."""
    codes = torch.randint(0, 2**bits, (3, d_in), generator=torch.Generator().manual_seed(bits)).to(torch.uint8)
    packed = pack_codes(codes, bits)
    assert packed.shape == (3, (d_in + 1) // 2 if bits <= 4 else d_in)
    assert torch.equal(unpack_codes(packed, bits, d_in), codes)


def test_two_codes_a_byte_the_first_in_the_low_half():
    """PACK-2."""
    assert pack_codes(torch.tensor([[1, 2, 15]], dtype=torch.uint8), 4).tolist() == [[1 + 16 * 2, 15]]


def test_codes_of_another_width_are_refused():
    with pytest.raises(ValueError, match="a row of 5 codes of 4 bits takes 3 bytes, not 5"):
        unpack_codes(torch.zeros(2, 5, dtype=torch.uint8), 4, 5)
