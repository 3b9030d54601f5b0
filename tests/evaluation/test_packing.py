"""Packed rows: by hand, and against the definition that every continuation sees its prompt and itself."""

from __future__ import annotations

import torch
from hypothesis import example, given
from hypothesis import strategies as st

from polyprune.evaluation.packing import MOST_PADDING, Row, collate, fill_batch, pack

CPU = torch.device("cpu")
tokens = st.integers(0, 3)
questions = st.lists(
    st.tuples(st.lists(tokens, min_size=1, max_size=5), st.lists(tokens, min_size=1, max_size=4)),
    min_size=1,
    max_size=8,
)


def test_row_by_hand() -> None:
    """Two options begin alike: that token is prefix too; the last token of an option is nobody's input."""
    (row,) = pack([([7, 8], [1, 2, 3]), ([7, 8], [1, 5]), ([7, 8], [1, 6, 4, 9]), ([7, 8], [1, 5])], 64)
    assert row.tokens == [7, 8, 1, 2, 6, 4]
    assert row.positions == [0, 1, 2, 3, 3, 4]
    assert row.segments == [0, 0, 0, 1, 3, 3]
    assert sorted(row.picks) == [
        *((0, 1, 1), (0, 2, 2), (0, 3, 3)),
        *((1, 1, 1), (1, 2, 5)),
        *((2, 1, 1), (2, 2, 6), (2, 4, 4), (2, 5, 9)),
        *((3, 1, 1), (3, 2, 5)),
    ]
    mask = collate([row], CPU).mask
    assert mask is not None
    assert mask[0, 0].int().tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 1, 0, 1, 0],
        [1, 1, 1, 0, 1, 1],
    ]


def test_letters_need_one_plain_row_a_question() -> None:
    rows = pack([(prompt, [letter]) for prompt in ([5, 6, 7], [5, 6]) for letter in range(4)], 64)
    assert [row.tokens for row in rows] == [[5, 6, 7], [5, 6]]
    batch = collate(rows, CPU)
    assert batch.mask is None and batch.positions is None


@given(questions, st.booleans(), st.integers(2, 12))
def test_every_prediction_sees_what_a_row_of_its_own_would_show_it(
    pairs: list[tuple[list[int], list[int]]], share: bool, max_length: int
) -> None:
    seen: dict[int, list[tuple[list[int], int]]] = {}
    for row in pack(pairs, max_length, share):
        for request, place, token in row.picks:
            visible = [other for other in range(place + 1) if row.segments[other] in (0, row.segments[place])]
            assert [row.positions[other] for other in visible] == list(range(len(visible)))
            seen.setdefault(request, []).append(([row.tokens[other] for other in visible], token))
    for request, (context, continuation) in enumerate(pairs):
        whole = [*context, *continuation][-(max_length + 1) :]
        if len(continuation) > max_length:
            continue
        first = len(whole) - len(continuation)
        assert sorted(seen[request], key=lambda item: len(item[0])) == [
            (whole[:place], whole[place]) for place in range(first, len(whole))
        ]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=30), st.integers(1, 200))
@example([22, 21, 20, 20], 200)
def test_batches_keep_to_budget_and_padding(lengths: list[int], budget: int) -> None:
    rows = [Row([0] * n, list(range(n)), [0] * n) for n in sorted(lengths, reverse=True)]
    batch = fill_batch(rows, budget, lambda length: length > 20)
    assert batch == rows[: len(batch)] and batch
    assert len(batch) == 1 or len(batch) * len(batch[0]) <= budget
    assert len(batch[-1]) >= (1 - MOST_PADDING) * len(batch[0])
    assert (len(batch[-1]) > 20) == (len(batch[0]) > 20)
