"""The test of a block's labels: by hand, under no effect and under a small one; PERM-1 and PERM-2."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from polyprune.maths.permutation import centred, permutation_p, target_advantage

TARGET = [0, 1, 2, 2, 3, 4, 5, 6] * 3
"""24 columns in seven languages; English twice, as ARC has it."""


def block(rng: np.random.Generator, effect: float) -> np.ndarray:
    """Calibrations that differ everywhere, columns that depend on one another, and `effect` on the diagonal."""
    values = rng.normal(0, 1, (7, 1)) + rng.normal(0, 5, (1, 24)) + rng.normal(0, 1, (7, 24))
    values[:, 12:] += 0.8 * values[:, :12]
    values[TARGET, np.arange(24)] += effect
    return values


def test_a_block_of_two_by_hand():
    """PERM-1 and PERM-2: two labels have two orders; the diagonal is better by 1 in each column, its opposite worse."""
    values = np.array([[3.0, 1.0], [2.0, 2.0]])
    assert target_advantage(values, [0, 1]) == 1
    assert permutation_p(values, [0, 1]) == 0.5
    assert permutation_p(values, [1, 0]) == 1.0


@pytest.mark.parametrize("rows_too", [True, False])
def test_it_is_the_share_of_relabellings_that_do_as_well(rows_too: bool):
    """PERM-2 by a loop over all 120 relabellings of five rows."""
    rng = np.random.default_rng(0)
    values, target = rng.normal(size=(5, 9)), [0, 1, 2, 3, 4, 0, 0, 2, 2]
    z = centred(values, rows_too)
    means = [np.mean([z[order[language], j] for j, language in enumerate(target)]) for order in permutations(range(5))]
    assert permutation_p(values, target, rows_too) == pytest.approx(np.mean(np.array(means) >= means[0] - 1e-12))


@pytest.mark.parametrize("rows_too", [True, False])
def test_without_an_effect_p_is_uniform(rows_too: bool):
    rng = np.random.default_rng(1)
    found = np.array([permutation_p(block(rng, 0.0), TARGET, rows_too) for _ in range(300)])
    for level in (0.05, 0.25, 0.5, 0.75):
        assert abs((found <= level).mean() - level) < 3.3 * np.sqrt(level * (1 - level) / 300)


def test_it_finds_a_small_effect():
    """Half of the noise of one cell: no single column could tell."""
    rng = np.random.default_rng(2)
    assert np.mean([permutation_p(block(rng, 0.6), TARGET) < 0.05 for _ in range(100)]) > 0.8


def test_a_row_that_is_good_everywhere_is_no_evidence():
    """English is 5 better in every column, and most columns are English: only means of rows tell it from an effect."""
    values = np.zeros((7, 24)) + np.random.default_rng(3).normal(0, 0.1, (7, 24))
    values[2] += 5
    mostly_english = [2] * 20 + [0, 1, 3, 4]
    assert permutation_p(values, mostly_english, rows_too=False) < 0.2
    assert permutation_p(values, mostly_english, rows_too=True) > 0.2


def test_many_calibrations_are_sampled_and_the_sample_is_that_of_its_seed():
    rng = np.random.default_rng(4)
    values, target = rng.normal(size=(8, 16)), list(range(8)) * 2
    values[target, np.arange(16)] += 0.3
    found = permutation_p(values, target, seed=1)
    assert found == permutation_p(values, target, seed=1)
    assert found == pytest.approx(permutation_p(values, target, seed=2), abs=0.01)
    assert found * 20001 == pytest.approx(round(found * 20001))


def test_what_cannot_be_relabelled_is_refused():
    with pytest.raises(ValueError, match="two rows or more"):
        permutation_p(np.ones((1, 3)), [0, 0, 0])
    with pytest.raises(ValueError, match="no value missing"):
        permutation_p(np.array([[1.0, np.nan], [0.0, 1.0]]), [0, 1])
