"""PACK-1 against numpy.packbits."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from polyprune.maths.packing import pack_bits, unpack_bits


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
