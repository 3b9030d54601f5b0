"""Packed rows: by hand, and against the definition that every continuation sees its prompt and itself."""

from __future__ import annotations

import torch
from hypothesis import example, given
from hypothesis import strategies as st

from polyprune.evaluation.packing import LEAST_SHARED, MOST_PADDING, Row, collate, fill_batch, pack

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


def test_prompts_that_share_most_share_a_row_by_hand() -> None:
    passage = list(range(100, 100 + LEAST_SHARED))
    pairs = [([*passage, 7, 8], [1, 2]), ([*passage, 7, 8], [3, 2]), ([*passage, 9], [4, 5]), ([9, *passage], [4])]
    other, row = sorted(pack(pairs, 64), key=len)
    n = LEAST_SHARED
    assert other.tokens == [9, *passage] and not other.branches
    assert row.tokens == [*passage, 7, 8, 1, 3, 9, 4]
    assert row.positions == [*range(n), n, n + 1, n + 2, n + 2, n, n + 1]
    assert row.segments == [0] * n + [1, 1, 2, 3, 4, 4]
    assert sorted(row.picks) == [
        *((0, n + 1, 1), (0, n + 2, 2)),
        *((1, n + 1, 3), (1, n + 3, 2)),
        *((2, n + 4, 4), (2, n + 5, 5)),
    ]
    mask = collate([row], CPU).mask
    assert mask is not None and mask[0, 0, :, :n].tril().equal(torch.ones(n + 6, n, dtype=torch.bool).tril())
    assert mask[0, 0, n:, n:].int().tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 0, 1, 0, 0],
        [0, 0, 0, 0, 1, 0],
        [0, 0, 0, 0, 1, 1],
    ]


def test_rows_do_not_grow_beyond_twice_their_longest_prompt_nor_beyond_4096_tokens() -> None:
    """Forty tokens are shared, ten of each prompt are its own: six of twenty to a row."""
    prompts = [[*range(40), *range(start, start + 10)] for start in range(100, 300, 10)]
    rows = pack([(prompt, [1]) for prompt in prompts], 64)
    assert [len(row) for row in rows] == [100, 100, 100, 60]
    alone = pack([(prompt[9:], [1]) for prompt in prompts], 64)
    assert [len(row) for row in alone] == [41] * 20
    long = [[*range(2500), start] for start in (1, 2)]
    assert [len(row) for row in pack([(prompt, [1, 2]) for prompt in long], 4096)] == [2504]
    longer = [[*range(2500), *range(start, start + 1000)] for start in (0, 1)]
    assert [len(row) for row in pack([(prompt, [1]) for prompt in longer], 4096)] == [3500, 3500], "4500 together"


@given(questions, st.lists(st.booleans(), min_size=8, max_size=8), st.booleans(), st.integers(2, 52))
def test_every_prediction_sees_what_a_row_of_its_own_would_show_it(
    pairs: list[tuple[list[int], list[int]]], after_passage: list[bool], share: bool, max_length: int
) -> None:
    passage = [0] * LEAST_SHARED
    pairs = [
        ([*passage, *prompt] if after else prompt, option)
        for (prompt, option), after in zip(pairs, after_passage, strict=False)
        if len(option) <= max_length
    ]
    seen: dict[int, list[tuple[list[int], int]]] = {}
    for row in pack(pairs, max_length, share):
        mask = collate([row], CPU).mask
        for request, place, token in row.picks:
            shown = range(place + 1) if mask is None else mask[0, 0, place].nonzero().flatten().tolist()
            visible = list(shown)
            assert [row.positions[other] for other in visible] == list(range(len(visible)))
            seen.setdefault(request, []).append(([row.tokens[other] for other in visible], token))
    for request, (context, continuation) in enumerate(pairs):
        whole = [*context, *continuation][-(max_length + 1) :]
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
