"""How far pruning masks agree: intersection over union (Kurz et al. 2024, arXiv:2408.14398, appendix D.3).

    IOU-1   M_I = ∩_i M_i,  M_U = ∪_i M_i,  IoU = |M_I| / |M_U|              eq. 8: seeds i of one calibration language
    IOU-2   IoU(l₁, l₂) = |M_I^l₁ ∩ M_I^l₂| / |M_I^l₁ ∪ M_I^l₂|              eq. 9: what is stable in two languages
    IOU-3   mean over pairs {i, j} of |M_i ∩ M_j| / |M_i ∪ M_j|              single masks: comparable within and between
    IOU-4   chance, for independent random masks that prune a share p:
            IOU-1 p^n / (1 − (1 − p)^n);  IOU-2 p^n / (2 − p^n);  IOU-3 p / (2 − p)

A mask M is the set of *pruned* weights of a matrix. Stored is the complement, a bit per kept weight (PACK-1), and the
sets are counted there by De Morgan's laws: |∩ M_i| = N − |∪ K_i| and |∪ M_i| = N − |∩ K_i|. So nothing is unpacked, and
padding bits, which are 0, count nowhere. IOU-1 of three masks and IOU-2 cannot be compared: an intersection of n sets
over their union falls with n, and IOU-2 compares sets that were first cleaned of what differs between seeds. IOU-3 can.

Where union and intersection are both empty nothing was pruned, and the result is NaN.
"""

from collections.abc import Sequence
from functools import reduce
from itertools import combinations

import numpy as np
from jaxtyping import UInt8

Kept = UInt8[np.ndarray, "d_out n_bytes"]
"""Packed bits of the kept weights, as stored."""


def count_bits(bits: Kept) -> int:
    """Number of ones, eight bytes at a time."""
    flat = np.ascontiguousarray(bits).reshape(-1)
    whole = flat.size - flat.size % 8
    words = np.bitwise_count(flat[:whole].view(np.uint64)).sum(dtype=np.int64)
    return int(words + np.bitwise_count(flat[whole:]).sum(dtype=np.int64))


def ratio(intersection: int, union: int) -> float:
    """Intersection over union; NaN where both are empty."""
    return intersection / union if union else float("nan")


def stable_kept(kept: Sequence[Kept]) -> Kept:
    """Complement of M_I (IOU-1): what is kept under at least one of the seeds."""
    return reduce(np.bitwise_or, kept)


def iou_of_seeds(kept: Sequence[Kept], n_weights: int) -> float:
    """IOU-1 of the masks of one language."""
    everywhere = reduce(np.bitwise_and, kept)
    return ratio(n_weights - count_bits(stable_kept(kept)), n_weights - count_bits(everywhere))


def iou_of_pair(first: Kept, second: Kept, n_weights: int) -> float:
    """IoU of two sets given by their complements: IOU-2 of two `stable_kept`, a term of IOU-3 of two masks."""
    return ratio(n_weights - count_bits(first | second), n_weights - count_bits(first & second))


def pairwise_iou_within(kept: Sequence[Kept], n_weights: int) -> float:
    """IOU-3 over all pairs of seeds of one language."""
    return float(np.mean([iou_of_pair(a, b, n_weights) for a, b in combinations(kept, 2)]))


def pairwise_iou_between(first: Sequence[Kept], second: Sequence[Kept], n_weights: int) -> float:
    """IOU-3 over the pairs of two languages with the same seed."""
    return float(np.mean([iou_of_pair(a, b, n_weights) for a, b in zip(first, second, strict=True)]))


def chance_iou(share_pruned: float, n_masks: int) -> float:
    """IOU-4 of IOU-1; of IOU-3 for two masks."""
    return share_pruned**n_masks / (1 - (1 - share_pruned) ** n_masks)


def chance_iou_of_stable(share_pruned: float, n_masks: int) -> float:
    """IOU-4 of IOU-2: two intersections of `n_masks` masks each."""
    return chance_iou(share_pruned**n_masks, 2)
