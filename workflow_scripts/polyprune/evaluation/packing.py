"""Continuations that share a prompt, packed into one sequence, so that the prompt is encoded once.

A row is the tokens that all continuations of a prompt begin with, then the rest of each continuation, one after the
other. Each of these branches sees the prefix and itself, and its positions go on from the prefix:

    tokens     p0 p1 p2 p3   a0 a1   b0   c0 c1 c2
    positions   0  1  2  3    4  5    4    4  5  6
    segments    0  0  0  0    1  1    2    3  3  3        a query sees keys of segment 0 and of its own, causally

The last token of a continuation is only predicted, never read; so continuations of one token ("A", "B", "C", "D") need
no branch at all: their row is the prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

import torch
from torch import Tensor

PADDING = -1
MOST_PADDING = 0.1


@dataclass
class Row:
    """One packed sequence. `picks` are (request, place, token): the token is predicted at this place of the row."""

    tokens: list[int]
    positions: list[int]
    segments: list[int]
    picks: list[tuple[int, int, int]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def branches(self) -> bool:
        return self.segments[-1] > 0


def pack(pairs: Sequence[tuple[Sequence[int], Sequence[int]]], max_length: int, share: bool = True) -> list[Row]:
    """Rows for (context, continuation) pairs of tokens, longest first; requests are numbered by their place.

    As in the harness, what is longer than `max_length` loses its beginning. Without `share` every different pair has a
    row of its own, for models whose attention takes no mask of ours.
    """
    groups: dict[tuple[int, ...], dict[tuple[int, ...], list[int]]] = {}
    for request, (context, continuation) in enumerate(pairs):
        left_out = max(0, len(context) + len(continuation) - max_length - 1)
        key = tuple(context[left_out:])
        group = groups.setdefault(key if share else (*key, PADDING, *continuation), {})
        group.setdefault(tuple(continuation), []).append(request)
    rows = [_row(key if share else key[: key.index(PADDING)], continuations) for key, continuations in groups.items()]
    return sorted(rows, key=len, reverse=True)


def _row(context: tuple[int, ...], continuations: dict[tuple[int, ...], list[int]]) -> Row:
    shared = _common_beginning(list(continuations))
    prefix = (*context, *shared)
    row = Row(list(prefix), list(range(len(prefix))), [0] * len(prefix))
    for segment, (continuation, requests) in enumerate(continuations.items(), start=1):
        branch = continuation[len(shared) : -1]
        places = [*range(len(context) - 1, len(prefix)), *range(len(row), len(row) + len(branch))]
        row.tokens += branch
        row.positions += range(len(prefix), len(prefix) + len(branch))
        row.segments += [segment] * len(branch)
        row.picks += [
            (request, place, token) for request in requests for place, token in zip(places, continuation, strict=True)
        ]
    return row


def _common_beginning(continuations: list[tuple[int, ...]]) -> tuple[int, ...]:
    """What all continuations begin with, without the last token of any."""
    longest = min(map(len, continuations)) - 1
    first = continuations[0]
    return first[
        : next(
            (place for place in range(longest) if any(other[place] != first[place] for other in continuations)), longest
        )
    ]


@dataclass(frozen=True)
class Batch:
    """Rows padded at the end. `mask` (n_rows, 1, length, length) is True where attended.

    Mask and positions are None for rows without branches: plain causal sequences, for which attention is fastest.
    """

    rows: list[Row]
    tokens: Tensor
    positions: Tensor | None
    mask: Tensor | None


def fill_batch(rows: Sequence[Row], tokens_per_batch: int, kind_of: Callable[[int], Hashable]) -> list[Row]:
    """The first rows, as many as fit the budget after padding to the first, which is the longest; at least one.

    Ends before a row that would be padded by more than `MOST_PADDING` of the longest, or whose length is of another
    kind: the model would treat it otherwise alone than in this batch (see `model/rope.py`).
    """
    longest = len(rows[0])
    size, least, kind = max(1, tokens_per_batch // longest), (1 - MOST_PADDING) * longest, kind_of(longest)
    return list(takewhile(lambda row: len(row) >= least and kind_of(len(row)) == kind, rows[:size]))


def collate(rows: list[Row], device: torch.device) -> Batch:
    """Tensors of a batch."""
    length = max(map(len, rows))

    def padded(values: list[list[int]], padding: int) -> Tensor:
        return torch.tensor([value + [padding] * (length - len(value)) for value in values], device=device)

    tokens = padded([row.tokens for row in rows], 0)
    if not any(row.branches for row in rows):
        return Batch(rows, tokens, None, None)
    positions = padded([row.positions for row in rows], 0)
    segments = padded([row.segments for row in rows], PADDING)
    keys, queries = segments[:, None, :], segments[:, :, None]
    causal = torch.ones(length, length, dtype=torch.bool, device=device).tril()
    itself = torch.eye(length, dtype=torch.bool, device=device)
    mask = (causal & ((keys == 0) | (keys == queries))) | itself
    return Batch(rows, tokens, positions, mask[:, None])
