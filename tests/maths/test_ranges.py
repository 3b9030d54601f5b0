"""RANGE-1 to RANGE-3 by hand, in batches and together."""

import pytest
import torch

from polyprune.maths.ranges import InputRanges, salient, salient_overlap

X = torch.tensor([[1.0, -5.0, 2.0], [3.0, 1.0, 2.0], [-2.0, 0.0, 2.5]])


def test_ranges_and_sizes_by_hand_in_any_batches():
    """RANGE-1: least and largest of each feature; a feature that never changes has a range of 0."""
    whole, first, second = InputRanges(3), InputRanges(3), InputRanges(3)
    whole.update(X)
    first.update(X[:1])
    second.update(X[1:].bfloat16())
    first.include(second)
    for seen in (whole, first):
        assert seen.lowest.tolist() == [-2, -5, 2] and seen.highest.tolist() == [3, 1, 2.5]
        assert seen.sizes.tolist() == pytest.approx([2, 2, 6.5 / 3]) and seen.n_tokens == 3


def test_salient_are_the_largest_hundredth_and_one_at_least():
    """RANGE-2: of 3 features one, of 201 three; of equal ones the first."""
    assert salient(torch.tensor([1.0, 3.0, 2.0])).tolist() == [False, True, False]
    sizes = torch.zeros(201)
    sizes[torch.tensor([7, 200])] = 1.0
    assert salient(sizes).nonzero().flatten().tolist() == [0, 7, 200]


def test_overlap_is_of_the_salient_alone():
    """RANGE-3."""
    first, second = torch.tensor([True, True, False, False]), torch.tensor([False, True, True, False])
    assert salient_overlap(first, second) == pytest.approx(1 / 3)
    assert salient_overlap(first, first) == 1 and salient_overlap(first, ~first) == 0
