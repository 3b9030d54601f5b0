"""Continuations that share a prompt, packed into one sequence, so that the prompt is encoded once.

A row is the tokens that all continuations of a prompt begin with, then the rest of each continuation, one after the
other. Each of these branches sees the prefix and itself, and its positions go on from the prefix:

    tokens     p0 p1 p2 p3   a0 a1   b0   c0 c1 c2
    positions   0  1  2  3    4  5    4    4  5  6
    segments    0  0  0  0    1  1    2    3  3  3        a query sees keys of segment 0 and of its own, causally

The last token of a continuation is only predicted, never read; so continuations of one token ("A", "B", "C", "D") need
no branch at all: their row is the prompt.

Prompts that share most of their tokens share a row as well: questions about one passage, or after the same examples.
Each is a branch of what is shared, and its continuations are branches of it:

    tokens     p0 p1 p2   q0 q1   a0   b0   r0   c0        prompts p q and p r; continuations a, b of the first, c
    positions   0  1  2    3  4    5    5    3    4
    segments    0  0  0    1  1    2    3    4    5        2 and 3 see 1 too, and 5 sees 4: `parents`
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from itertools import count, takewhile
from typing import TypeVar

import torch
from torch import Tensor

PADDING = -1
MOST_PADDING = 0.1
LEAST_SHARED = 32
"""Tokens that prompts of a row share at least, beside half of each: masked attention costs more than causal."""
LONGEST_ROW, MOST_TOKENS = 2, 4096
"""Times as long as its longest prompt with continuations, and how long, a row of several prompts is at most: attention
and its mask grow with the square of the row.
"""
S = TypeVar("S", bound=Sized)
Continuations = dict[tuple[int, ...], list[int]]
"""Requests by continuation of one prompt."""


@dataclass
class Row:
    """One packed sequence. `picks` are (request, place, token): the token is predicted at this place of the row.

    `parents` are segments by segment that branches off another one than the first.
    """

    tokens: list[int]
    positions: list[int]
    segments: list[int]
    picks: list[tuple[int, int, int]] = field(default_factory=list)
    parents: dict[int, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.tokens)

    def add(self, tokens: Sequence[int], position: int, segment: int) -> range:
        """Tokens of a segment at the end, from this position on; their places."""
        self.tokens += tokens
        self.positions += range(position, position + len(tokens))
        self.segments += [segment] * len(tokens)
        return range(len(self) - len(tokens), len(self))

    @property
    def branches(self) -> bool:
        return self.segments[-1] > 0


def pack(pairs: Sequence[tuple[Sequence[int], Sequence[int]]], max_length: int, share: bool = True) -> list[Row]:
    """Rows for (context, continuation) pairs of tokens, longest first; requests are numbered by their place.

    As in the harness, what is longer than `max_length` loses its beginning. Without `share` every different pair has a
    row of its own, for models whose attention takes no mask of ours.
    """
    groups: dict[tuple[int, ...], Continuations] = {}
    for request, (context, continuation) in enumerate(pairs):
        left_out = max(0, len(context) + len(continuation) - max_length - 1)
        groups.setdefault(tuple(context[left_out:]), {}).setdefault(tuple(continuation), []).append(request)
    if share:
        rows = [_row({context: groups[context] for context in family}) for family in _families(groups)]
    else:
        rows = [_row({context: {one: groups[context][one]}}) for context in groups for one in groups[context]]
    return sorted(rows, key=len, reverse=True)


def _families(groups: Mapping[tuple[int, ...], Continuations]) -> Iterator[list[tuple[int, ...]]]:
    """Prompts that share a row, sorted."""
    size = {prompt: len(prompt) + sum(len(one) - 1 for one in found) for prompt, found in groups.items()}
    family: list[tuple[int, ...]] = []
    for prompt in sorted(groups):
        shared = _n_common(family[0], prompt) if family else 0
        together = [*family, prompt]
        n_tokens = sum(size[each] for each in together) - shared * len(family)
        longest = max(map(len, together))
        most = min(LONGEST_ROW * max(size[each] for each in together), MOST_TOKENS)
        if shared >= max(LEAST_SHARED, longest / 2) and n_tokens <= most:
            family = together
        else:
            if family:
                yield family
            family = [prompt]
    if family:
        yield family


def _row(family: Mapping[tuple[int, ...], Continuations]) -> Row:
    """A row of prompts, sorted, with their continuations."""
    first, *_, last = [*family, *family]
    prefix = first[: _n_common(first, last)] if len(family) > 1 else ()
    row, numbers = Row(list(prefix), list(range(len(prefix))), [0] * len(prefix)), count(1)
    for prompt, continuations in family.items():
        shared = _common_beginning(list(continuations))
        stem = next(numbers) if len(family) > 1 else 0
        places = [*range(len(prefix)), *row.add((*prompt[len(prefix) :], *shared), len(prefix), stem)]
        for continuation, requests in continuations.items():
            segment = next(numbers)
            if stem:
                row.parents[segment] = stem
            path = [*places, *row.add(continuation[len(shared) : -1], len(places), segment)]
            picked = list(zip(path[len(prompt) - 1 :], continuation, strict=True))
            row.picks += [(request, place, token) for request in requests for place, token in picked]
    return row


def _n_common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens both begin with."""
    shorter = min(len(one), len(other))
    return next((place for place in range(shorter) if one[place] != other[place]), shorter)


def _common_beginning(continuations: list[tuple[int, ...]]) -> tuple[int, ...]:
    """What all continuations begin with, without the last token of any."""
    first = continuations[0]
    longest = min(map(len, continuations)) - 1
    return first[: min([longest, *(_n_common(first, other) for other in continuations)])]


@dataclass(frozen=True)
class Batch:
    """Rows padded at the end. `mask` (n_rows, 1, length, length) is True where attended.

    Mask and positions are None for rows without branches: plain causal sequences, for which attention is fastest.
    """

    rows: list[Row]
    tokens: Tensor
    positions: Tensor | None
    mask: Tensor | None


def fill_batch(rows: Sequence[S], tokens_per_batch: int, kind_of: Callable[[int], Hashable]) -> list[S]:
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
    parents = padded([[row.parents.get(segment, 0) for segment in row.segments] for row in rows], 0)
    keys, queries = segments[:, None, :], segments[:, :, None]
    causal = torch.ones(length, length, dtype=torch.bool, device=device).tril()
    itself = torch.eye(length, dtype=torch.bool, device=device)
    mask = (causal & ((keys == 0) | (keys == queries) | (keys == parents[:, :, None]))) | itself
    return Batch(rows, tokens, positions, mask[:, None])
