"""KEEP-1 to KEEP-4 against sorting in plain Python."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from polyprune.grammar.schemes import parse_scheme
from polyprune.maths.selection import keep_per_row, keep_whole_matrix, removed_by_threshold, select, zero_unless

SPARSITIES = st.integers(1, 99).map(lambda percent: parse_scheme(f"0.{percent:02d}"))


@st.composite
def score_matrices(draw, multiple_of: int = 1):
    """Few distinct values, so that ties are common."""
    d_out, d_in = draw(st.integers(1, 5)), multiple_of * draw(st.integers(1, 12 // multiple_of))
    values = draw(st.lists(st.integers(0, 6), min_size=d_out * d_in, max_size=d_out * d_in))
    return torch.tensor(values, dtype=torch.float32).view(d_out, d_in)


def keep_by_plain_sorting(scores: list[float], n_removed: int) -> list[bool]:
    removed = sorted(range(len(scores)), key=lambda index: (scores[index], index))[:n_removed]
    return [index not in removed for index in range(len(scores))]


@settings(deadline=None)
@given(score_matrices(), SPARSITIES)
def test_per_row_the_lowest_go_first_index_first(scores, scheme):
    """KEEP-1."""
    keep = keep_per_row(scores, scheme)
    n_removed = scheme.removed_of(scores.shape[1])
    assert keep.tolist() == [keep_by_plain_sorting(row, n_removed) for row in scores.tolist()]


@settings(deadline=None)
@given(score_matrices(multiple_of=4), st.integers(1, 3))
def test_of_every_four_the_n_highest_stay(scores, n):
    """KEEP-2: 1of4 keeps one and removes three."""
    keep = keep_per_row(scores, parse_scheme(f"{n}of4"))
    groups = [keep_by_plain_sorting(group, 4 - n) for group in scores.view(-1, 4).tolist()]
    assert keep.view(-1, 4).tolist() == groups


@settings(deadline=None)
@given(score_matrices(), SPARSITIES)
def test_whole_matrix_removes_exactly_the_lowest(scores, scheme):
    """KEEP-3."""
    keep = keep_whole_matrix(scores, scheme)
    assert keep.flatten().tolist() == keep_by_plain_sorting(
        scores.flatten().tolist(), scheme.removed_of(scores.numel())
    )


@settings(deadline=None)
@given(score_matrices(), SPARSITIES)
def test_threshold_removes_all_up_to_the_value_of_that_rank(scores, scheme):
    """KEEP-4: one more than KEEP-3, and all ties."""
    ranked = sorted(scores.flatten().tolist())
    expected = [[value <= ranked[scheme.removed_of(len(ranked))] for value in row] for row in scores.tolist()]
    assert removed_by_threshold(scores, scheme).tolist() == expected


@settings(deadline=None)
@given(st.integers(0, 2**32), SPARSITIES)
def test_lowest_kept_is_above_highest_dropped_in_every_row(seed, scheme):
    """KEEP-1."""
    scores = torch.rand(6, 40, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    keep = keep_per_row(scores, scheme)
    lowest_kept = scores.where(keep, torch.inf).amin(1)
    highest_dropped = scores.where(~keep, -torch.inf).amax(1)
    assert (lowest_kept > highest_dropped).all()


def test_groups_that_do_not_fit_are_refused_with_the_shape():
    with pytest.raises(ValueError, match=r"2of4 needs a multiple of 4 columns, but the matrix is 3 x 10"):
        keep_per_row(torch.rand(3, 10), parse_scheme("2of4"))


@settings(deadline=None, max_examples=30)
@given(st.integers(64, 150), st.integers(1, 99), st.integers(1, 40), st.integers(0, 2**32))
def test_wide_rows_are_selected_as_a_stable_sort_would(n_columns, percent, n_values, seed):
    """KEEP-1: few distinct values, so that ties lie across the border."""
    scores = torch.randint(0, n_values, (4, n_columns), generator=torch.Generator().manual_seed(seed)).float()
    scheme = parse_scheme(f"0.{percent:02d}")
    order = scores.sort(dim=1, stable=True).indices[:, : scheme.removed_of(n_columns)]
    expected = torch.ones_like(scores, dtype=torch.bool).scatter_(1, order, False)
    assert torch.equal(keep_per_row(scores, scheme), expected)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_masked_weights_are_those_of_where_and_masked_select(dtype):
    """Also of a transposed view, whose rows are not neighbours in memory; no zero is negative, not even of a NaN."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(30, 21, generator=generator).to(dtype).T
    weights[0, :3] = torch.tensor([torch.nan, torch.inf, -1.0])
    keep = torch.rand(21, 30, generator=generator) < 0.5
    keep[0, :3] = False
    masked = zero_unless(keep, weights)
    assert torch.equal(masked, torch.where(keep, weights, 0))
    assert not masked.signbit()[~keep].any()
    assert torch.equal(select(weights, keep), weights.masked_select(keep))
