"""RAND-1: exact counts, all choices equally likely, reproducible."""

from itertools import combinations

import torch

from polyprune.grammar.schemes import parse_scheme
from polyprune.maths.random_pruning import random_keep


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_each_choice_of_a_row_is_equally_likely():
    """RAND-1: 2 of 4 columns stay in 6 ways; 12 000 rows, 5 standard deviations around 2 000."""
    keep = random_keep(torch.zeros(12_000, 4), parse_scheme("0.50"), generator(0))
    patterns = [tuple(row.nonzero().flatten().tolist()) for row in keep]
    for choice in combinations(range(4), 2):
        assert abs(patterns.count(choice) - 2000) < 5 * (12_000 * 1 / 6 * 5 / 6) ** 0.5


def test_counts_are_exact_per_row_and_per_group():
    """RAND-1."""
    assert (random_keep(torch.zeros(50, 41), parse_scheme("0.80"), generator(1)).sum(1) == 41 - 32).all()
    groups = random_keep(torch.zeros(50, 40), parse_scheme("1of4"), generator(1)).view(-1, 4)
    assert (groups.sum(1) == 1).all()


def test_the_generator_decides():
    first, again, other = (random_keep(torch.zeros(9, 9), parse_scheme("0.50"), generator(s)) for s in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
