"""Random draws that stay the same on every machine and Python version.

Everything rests on `random.Random(text)` and its method `random()`, the one thing whose values the Python documentation
promises for the same seed; `choice` or `sample` may change with the version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")


def integer(rng: Random, low: int, high: int) -> int:
    """Return an integer from `low` to `high`, both included."""
    return low + int(rng.random() * (high - low + 1))


def pick(rng: Random, options: Sequence[T]) -> T:
    """Return one of the options."""
    return options[integer(rng, 0, len(options) - 1)]


def draw(rng: Random, options: Sequence[T], n: int) -> list[T]:
    """Return `n` of the options in random order, none of them twice."""
    if n > len(options):
        raise ValueError(f"cannot draw {n} of {len(options)} options")
    left = list(options)
    return [left.pop(integer(rng, 0, len(left) - 1)) for _ in range(n)]


def pick_weighted(rng: Random, weights: Mapping[T, int]) -> T:
    """Return one key, each with the chance its weight gives it."""
    ticket = integer(rng, 1, sum(weights.values()))
    for option, weight in weights.items():
        ticket -= weight
        if ticket <= 0:
            return option
    raise AssertionError("the ticket exceeds the sum of the weights")
