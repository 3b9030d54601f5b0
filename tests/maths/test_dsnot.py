"""DSNOT-1 to DSNOT-4 by hand, and the invariants of swapping."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from polyprune.maths.dsnot import dsnot_keep


def refine(
    weight, keep, sums, variance=None, squares=None, threshold=0.1, max_cycles=50, same_sign=False
) -> list[list[bool]]:
    ones = torch.ones(weight.shape[1])
    variance, squares = (ones if given is None else torch.tensor(given) for given in (variance, squares))
    keep = torch.tensor(keep).bool()
    return (
        dsnot_keep(weight, keep, torch.tensor(sums), variance, squares, threshold, max_cycles, same_sign).int().tolist()
    )


def test_one_swap_by_hand():
    """DSNOT-1..4. C = [[3, 1, −2, −4]], ε = 3 + 1 = 4. Regrown: 3. Pruned: −2, the smaller |W|. ε = 4 − 3 − 2 < 0."""
    weight = torch.tensor([[3.0, 1.0, -2.0, -4.0]])
    assert refine(weight, [[0, 0, 1, 1]], [1.0, 1.0, 1.0, 1.0], max_cycles=1) == [[1, 0, 0, 1]]


def test_the_sign_turns_the_choice_around():
    """DSNOT-3, DSNOT-4: the same row with inputs of the other sign: ε = −4, C of the pruned weight is positive."""
    weight = torch.tensor([[3.0, 1.0, -2.0, -4.0]])
    assert refine(weight, [[0, 0, 1, 1]], [-1.0, -1.0, -1.0, -1.0], max_cycles=1) == [[1, 0, 0, 1]]


def test_variance_and_norm_decide():
    """DSNOT-3: 3 / 9 < 1 / 1, so column 1 regrows. DSNOT-4: 2 · √9 > 4 · 1, so column 3 goes."""
    weight = torch.tensor([[3.0, 1.0, -2.0, -4.0]])
    after = refine(weight, [[0, 0, 1, 1]], [1.0] * 4, [9.0, 1.0, 1.0, 1.0], [1.0, 1.0, 9.0, 1.0], max_cycles=1)
    assert after == [[0, 1, 1, 0]]


def test_inputs_that_never_vary():
    """DSNOT-3: one that is always 0 brings nothing and stays out, one that is constant comes first."""
    weight = torch.tensor([[9.0, 3.0, 1.0, -2.0]])
    after = refine(weight, [[0, 0, 0, 1]], [0.0, 1.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0], max_cycles=1)
    assert after == [[0, 0, 1, 0]]


def test_a_weight_that_adds_nothing_is_not_pruned_though_it_costs_nothing():
    """DSNOT-4: sign(C) = 0 is not −sign(ε)."""
    weight = torch.tensor([[3.0, 1.0, -2.0, 9.0]])
    after = refine(weight, [[0, 0, 1, 1]], [1.0, 1.0, 1.0, 0.0], squares=[1.0, 1.0, 1.0, 0.0], max_cycles=1)
    assert after == [[1, 0, 0, 1]]


def test_rows_stop_on_their_own():
    """DSNOT-2: row 0 lacks 0.05, below the threshold; row 1 lacks 5 and has no kept weight of negative C."""
    weight = torch.tensor([[0.05, -1.0, -1.0], [5.0, 1.0, 1.0]])
    assert refine(weight, [[0, 1, 1], [0, 1, 1]], [1.0, 1.0, 1.0]) == [[0, 1, 1], [0, 1, 1]]


def test_nothing_is_swapped_twice():
    """DSNOT-3, DSNOT-4: ε = 5, so 5 comes and −1 goes; then ε = −1, but −1 may not come back for 2."""
    weight = torch.tensor([[5.0, -1.0, 2.0]])
    assert refine(weight, [[0, 1, 1]], [1.0, 1.0, 1.0]) == [[1, 0, 1]]


def test_a_row_that_would_overshoot_stops_if_told_so():
    """DSNOT-2: ε = 4 would become 4 − 3 − 2 = −1; 8 would become 3, then −2."""
    weight = torch.tensor([[3.0, 1.0, -2.0, -4.0]])
    assert refine(weight, [[0, 0, 1, 1]], [1.0] * 4, same_sign=True) == [[0, 0, 1, 1]]
    weight = torch.tensor([[3.5, 4.5, -1.5, -0.5]])
    assert refine(weight, [[0, 0, 1, 1]], [1.0] * 4, same_sign=True) == [[0, 1, 1, 0]]
    assert refine(weight, [[0, 0, 1, 1]], [1.0] * 4, same_sign=False) == [[1, 1, 0, 0]]


def row_by_row(weight, keep, sums, variance, squares, threshold, max_cycles, same_sign) -> list[list[bool]]:
    """The definition in plain numbers, for one row after the other."""
    masks = []
    for row, kept in zip(weight.tolist(), keep.tolist(), strict=True):
        mask, columns = list(kept), range(len(row))
        contribution = [w * s for w, s in zip(row, sums.tolist(), strict=True)]
        cost = [abs(w) * q**0.5 for w, q in zip(row, squares.tolist(), strict=True)]
        removed, at_first = [j for j in columns if not kept[j]], [j for j in columns if kept[j]]
        lacking = sum(contribution[j] for j in removed)
        first_sign = 1 if lacking > 0 else -1
        for _ in range(max_cycles):
            sign = 1 if lacking > 0 else -1
            coming = [j for j in removed if sign * contribution[j] > 0]
            going = [j for j in at_first if sign * contribution[j] < 0]
            if abs(lacking) <= threshold or not coming or not going:
                break
            best = max(coming, key=lambda j: sign * contribution[j] / variance[j].item())
            least = min(going, key=lambda j: cost[j])
            after = lacking + contribution[least] - contribution[best]
            if same_sign and after * first_sign <= 0:
                break
            mask[best], mask[least], lacking = True, False, after
            removed.remove(best)
            at_first.remove(least)
        masks.append(mask)
    return masks


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.integers(0, 20), st.sampled_from([0.0, 0.1, 3.0]), st.booleans())
def test_masks_are_those_of_the_definition_row_by_row(seed, max_cycles, threshold, same_sign):
    """DSNOT-1..4, and when a row is done."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(6, 30, generator=generator, dtype=torch.float64).float()
    keep = torch.rand(6, 30, generator=generator) < 0.6
    sums = torch.randn(30, generator=generator)
    variance, squares = torch.rand(2, 30, generator=generator) + 0.1
    arguments = (weight, keep, sums, variance, squares, threshold, max_cycles, same_sign)
    assert dsnot_keep(*arguments).tolist() == row_by_row(*arguments)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), st.integers(0, 10))
def test_counts_per_row_stay_and_the_given_mask_is_left_alone(seed, max_cycles):
    """DSNOT-3, DSNOT-4."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(6, 30, generator=generator)
    keep = torch.rand(6, 30, generator=generator) < 0.5
    before = keep.clone()
    sums = torch.randn(30, generator=generator)
    ones = torch.ones(30)
    after = dsnot_keep(weight, keep, sums, ones, ones, 0.1, max_cycles, False)
    assert torch.equal(keep, before)
    assert torch.equal(after.sum(1), keep.sum(1))
    assert ((after != keep).sum(1) <= 2 * max_cycles).all()


def test_the_mean_output_comes_closer():
    """DSNOT-2: which is what the method is for."""
    generator = torch.Generator().manual_seed(0)
    weight, sums = torch.randn(20, 100, generator=generator), torch.randn(100, generator=generator)
    keep = torch.rand(20, 100, generator=generator) < 0.5
    ones = torch.ones(100)
    after = dsnot_keep(weight, keep, sums, ones, ones, 0.1, 50, False)
    lacking, lacking_after = (((weight * ~mask) @ sums).abs() for mask in (keep, after))
    assert lacking_after.mean() < 0.3 * lacking.mean()


def test_statistics_that_are_not_finite_are_refused():
    weight, keep, ones = torch.ones(1, 2), torch.tensor([[True, False]]), torch.ones(2)
    bad = torch.tensor([1.0, torch.nan])
    for statistics, message in [
        ((bad, ones, ones), "sums"),
        ((ones, bad, ones), "variances"),
        ((ones, ones, bad), "statistics"),
    ]:
        with pytest.raises(ValueError, match=f"input {message} of a"):
            dsnot_keep(weight, keep, *statistics, 0.1, 5, False)
