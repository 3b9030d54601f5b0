"""Attention of packed rows branch by branch: on a CPU the kernel multiplies what a mask then hides.

Within, attention that is asked for with a batch's own mask is computed without most of what nobody sees: each segment
(`packing.py`) with those it branches off, one after the other. The same sums, in another order. What a model masks in
another way is left as it is, and so is a GPU, where few large products are faster than many small ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

from polyprune.evaluation.packing import Batch, Row

WORTHWHILE = 48
"""Tokens that the segments of a batch have in the mean: with less than the kernel takes at a time nothing is gained."""


def branchwise(batch: Batch) -> AbstractContextManager[object]:
    """Within: attention with the batch's mask is computed branch by branch, where that is faster."""
    if batch.mask is None or batch.mask.device.type != "cpu":
        return nullcontext()
    n_segments = sum(len(set(row.segments)) for row in batch.rows)
    return _ByBranch(batch, batch.mask) if sum(map(len, batch.rows)) >= WORTHWHILE * n_segments else nullcontext()


class _ByBranch(TorchFunctionMode):
    def __init__(self, batch: Batch, mask: Tensor) -> None:
        super().__init__()
        self._mask = mask
        self._parts = [
            (slice(number, number + 1), own, seen, torch.ones(_len(own), sum(map(_len, seen)), dtype=torch.bool))
            for number, row in enumerate(batch.rows)
            for own, seen in _seen(row)
        ]
        for *_, own_mask in self._parts:
            own_mask.tril_(own_mask.shape[1] - own_mask.shape[0])

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options = dict(kwargs or {})
        if func is scaled_dot_product_attention and self._is_ours(options.get("attn_mask"), args[0]):
            del options["attn_mask"]
            return self._attention(*args, **options)
        return func(*args, **options)

    def _is_ours(self, mask: Tensor | None, queries: Tensor) -> bool:
        """Whether it is this batch's mask for all its tokens, be it another view."""
        return (
            mask is not None
            and (mask.data_ptr(), mask.shape) == (self._mask.data_ptr(), self._mask.shape)
            and queries.shape[2] == mask.shape[2]
        )

    def _attention(self, queries: Tensor, keys: Tensor, values: Tensor, **options: Any) -> Tensor:
        """(n_rows, n_heads, length, d_head), zeros where a row is padded."""
        n_rows, n_heads, length, _ = queries.shape
        found = values.new_zeros(n_rows, length, n_heads, values.shape[3]).transpose(1, 2)
        for row, own, seen, mask in self._parts:
            both = [_at(states[row], seen) for states in (keys, values)]
            found[row, :, own] = scaled_dot_product_attention(queries[row, :, own], *both, attn_mask=mask, **options)
        return found


def _at(states: Tensor, places: list[slice]) -> Tensor:
    pieces = [states[:, :, each] for each in places]
    return torch.cat(pieces, 2) if len(pieces) > 1 else pieces[0]


def _len(places: slice) -> int:
    return places.stop - places.start


def _seen(row: Row) -> Iterator[tuple[slice, list[slice]]]:
    """Places of each segment, and of those whose tokens it sees, its own the last."""
    starts = [place for place in range(len(row)) if place == 0 or row.segments[place] != row.segments[place - 1]]
    places = {
        row.segments[start]: slice(start, stop) for start, stop in zip(starts, [*starts[1:], len(row)], strict=True)
    }
    for segment, own in places.items():
        above = dict.fromkeys((0, row.parents.get(segment, 0), segment))
        yield own, [places[each] for each in above if each in places]
