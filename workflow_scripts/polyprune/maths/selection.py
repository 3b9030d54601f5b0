"""Which weights stay, given a score per weight (higher = more important).

    KEEP-1   per row      the ⌊s·d_in⌋ lowest of each row go
    KEEP-2   n:m          of every m consecutive weights of a row the m − n lowest go
    KEEP-3   per matrix   the ⌊s·d_out·d_in⌋ lowest of the matrix go
    KEEP-4   threshold    everything ≤ the value of rank ⌊s·d_out·d_in⌋ (from 0) goes: one weight more than KEEP-3,
                          and all that tie with it

Equal scores go in order of their index, as in a stable ascending sort. The reference code of Wanda sorts stably for
KEEP-1, but takes `topk` for KEEP-2, whose choice among equal scores is undefined.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from polyprune.grammar import Scheme

WIDE = 64
"""Columns from which a selection per row is faster than a sort."""


def keep_per_row(scores: Float[Tensor, "d_out d_in"], scheme: Scheme) -> Bool[Tensor, "d_out d_in"]:
    """KEEP-1, or KEEP-2 if the scheme is n:m.

    Raises:
        ValueError: n:m, and m does not divide the number of columns.
    """
    if scheme.n_of_m is None:
        return _without_lowest(scores, scheme.removed_of(scores.shape[1]))
    n, m = scheme.n_of_m
    groups = scores.reshape(-1, group_width(scores, scheme))
    return _without_lowest(groups, m - n).view_as(scores)


def keep_whole_matrix(scores: Float[Tensor, "d_out d_in"], scheme: Scheme) -> Bool[Tensor, "d_out d_in"]:
    """KEEP-3: rows compete with each other; the number removed is exact."""
    return _without_lowest(scores.reshape(1, -1), scheme.removed_of(scores.numel())).view_as(scores)


def removed_by_threshold(scores: Float[Tensor, "..."], scheme: Scheme) -> Bool[Tensor, "..."]:
    """KEEP-4: True where a weight goes."""
    flat, rank = scores.flatten(), scheme.removed_of(scores.numel())
    # Same value; a selection is fast on the CPU, a sort on the GPU.
    threshold = flat.sort().values[rank] if flat.is_cuda else flat.kthvalue(rank + 1).values
    return scores <= threshold


def group_width(matrix: Float[Tensor, "d_out d_in"], scheme: Scheme) -> int:
    """The m of an n:m scheme, after checking that it divides the columns of `matrix`.

    Raises:
        ValueError: it does not, or the scheme is not n:m.
    """
    if scheme.n_of_m is None:
        raise ValueError(f"scheme {scheme.text} is not n:m")
    m = scheme.n_of_m[1]
    if matrix.shape[1] % m:
        raise ValueError(
            f"scheme {scheme.text} needs a multiple of {m} columns, but the matrix is "
            f"{matrix.shape[0]} x {matrix.shape[1]}; choose an m that divides {matrix.shape[1]}"
        )
    return m


def _without_lowest(scores: Float[Tensor, "rows columns"], n_removed: int) -> Bool[Tensor, "rows columns"]:
    if n_removed and scores.shape[1] >= WIDE:
        return _without_lowest_of_wide(scores, n_removed)
    order = scores.argsort(dim=1, stable=True)
    return torch.ones_like(scores, dtype=torch.bool).scatter_(1, order[:, :n_removed], False)


def _without_lowest_of_wide(scores: Float[Tensor, "rows columns"], n_removed: int) -> Bool[Tensor, "rows columns"]:
    """The same by selection: all below the value of the last to go, and the first of those that equal it."""
    threshold = scores.kthvalue(n_removed, dim=1, keepdim=True).values
    keep = scores > threshold
    tied = (keep.sum(1) < scores.shape[1] - n_removed).nonzero().flatten()
    if len(tied):
        at_threshold = scores[tied] == threshold[tied]
        to_go = n_removed - (scores[tied] < threshold[tied]).sum(1, keepdim=True)
        keep[tied] |= at_threshold & (at_threshold.cumsum(1) > to_go)
    return keep
