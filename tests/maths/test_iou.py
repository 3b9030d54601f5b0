"""Overlap of masks, by hand and against Python sets; IOU-1 to IOU-4."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from polyprune.maths.iou import (
    chance_iou,
    chance_iou_of_stable,
    count_bits,
    iou_of_pair,
    iou_of_seeds,
    pairwise_iou_between,
    pairwise_iou_within,
    stable_kept,
)
from polyprune.maths.packing import pack_bits


def packed(*pruned: int, n: int = 10) -> np.ndarray:
    """One row of `n` weights of which these are pruned; 10 leaves six padding bits."""
    keep = torch.ones(1, n, dtype=torch.bool)
    keep[0, list(pruned)] = False
    return pack_bits(keep).numpy()


def random_masks(n_masks: int, share: float, seed: int, shape: tuple[int, int] = (40, 203)) -> list[np.ndarray]:
    """Boolean arrays, True = pruned."""
    rng = np.random.default_rng(seed)
    return [rng.random(shape) < share for _ in range(n_masks)]


def as_packed(pruned: list[np.ndarray]) -> list[np.ndarray]:
    return [pack_bits(torch.from_numpy(~each)).numpy() for each in pruned]


def as_set(pruned: np.ndarray) -> set[int]:
    return set(np.flatnonzero(pruned).tolist())


def test_overlap_by_hand():
    """{0..5}, {1..6} and {2..7}: four of eight; the pairs 5/7, 4/8, 5/7."""
    masks = [packed(0, 1, 2, 3, 4, 5), packed(1, 2, 3, 4, 5, 6), packed(2, 3, 4, 5, 6, 7)]
    assert iou_of_seeds(masks, 10) == 4 / 8
    assert pairwise_iou_within(masks, 10) == pytest.approx((5 / 7 + 4 / 8 + 5 / 7) / 3)


def test_four_tenths_and_a_third():
    """Two of five; and, of what is stable in two languages, one of three."""
    assert iou_of_seeds([packed(0, 1, 2), packed(1, 2, 3, 4)], 10) == 0.4
    german = stable_kept([packed(0, 1, 5), packed(0, 1, 6)])
    english = stable_kept([packed(1, 2, 7), packed(1, 2, 8)])
    assert iou_of_pair(german, english, 10) == pytest.approx(1 / 3)


@pytest.mark.parametrize("shape", [(40, 203), (3, 8), (5, 1), (16, 64)])
def test_bit_counts_equal_sets(shape: tuple[int, int]):
    """IOU-1 to IOU-3 on random masks, with and without padding bits."""
    first, second = random_masks(3, 0.5, 0, shape), random_masks(3, 0.4, 1, shape)
    sets, others = ([as_set(each) for each in masks] for masks in (first, second))
    kept, kept_others = as_packed(first), as_packed(second)
    n = shape[0] * shape[1]

    def iou(a: set[int], b: set[int]) -> float:
        return len(a & b) / len(a | b) if a | b else float("nan")

    assert count_bits(kept[0]) == n - len(sets[0])
    assert iou_of_seeds(kept, n) == len(set.intersection(*sets)) / len(set.union(*sets))
    stable, stable_others = set.intersection(*sets), set.intersection(*others)
    found = iou_of_pair(stable_kept(kept), stable_kept(kept_others), n)
    np.testing.assert_equal(found, iou(stable, stable_others))
    between = np.mean([iou(a, b) for a, b in zip(sets, others, strict=True)])
    assert pairwise_iou_between(kept, kept_others, n) == pytest.approx(between)


def test_chance_levels():
    """IOU-4: the paper's half sparsity, and random masks large enough to come near any share."""
    assert chance_iou(0.5, 3) == pytest.approx(1 / 7)
    assert chance_iou_of_stable(0.5, 3) == pytest.approx(1 / 15)
    assert chance_iou(0.5, 2) == pytest.approx(1 / 3)
    for share in (0.2, 0.5, 0.7):
        first, second = random_masks(3, share, 2, (500, 800)), random_masks(3, share, 3, (500, 800))
        kept, others = as_packed(first), as_packed(second)
        n = 500 * 800
        assert iou_of_seeds(kept, n) == pytest.approx(chance_iou(share, 3), abs=0.01)
        assert pairwise_iou_within(kept, n) == pytest.approx(chance_iou(share, 2), abs=0.01)
        found = iou_of_pair(stable_kept(kept), stable_kept(others), n)
        assert found == pytest.approx(chance_iou_of_stable(share, 3), abs=0.01)


def test_equal_masks_overlap_fully_and_empty_ones_not_at_all():
    assert iou_of_seeds([packed(1, 2)] * 3, 10) == 1
    assert np.isnan(iou_of_seeds([packed()] * 3, 10))
