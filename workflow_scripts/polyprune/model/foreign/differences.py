"""What a checkpoint has otherwise than the dense model: how much, and in sentences for tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Difference:
    """Of one tensor: in how many of its weights, by how much at most; weights that are only rounded do not count."""

    shape: list[int]
    differ: int
    of: int
    largest: float

    def header(self) -> dict[str, object]:
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.shape} (in {self.differ:,} of {self.of:,} weights, by at most {self.largest:.3g})"


def difference(dense: Tensor, stored: Tensor, among: Tensor | None = None) -> Difference | None:
    """Compare what is stored with the dense tensor rounded to its dtype, `among` some of the places; None if equal.

    Raises:
        ValueError: the shapes differ.
    """
    if dense.shape != stored.shape:
        raise ValueError(f"it is {list(stored.shape)}, the dense model's {list(dense.shape)}")
    other = dense.to(stored) != stored
    if among is not None:
        other &= among
    if not bool(other.any()):
        return None
    largest = float((dense.float()[other] - stored.to(dense.device).float()[other]).abs().max())
    return Difference(list(dense.shape), int(other.sum()), dense.numel(), largest)


def is_rounded(dense: Tensor, stored: Tensor) -> bool:
    """Whether it differs from the dense tensor in dtype's precision only, but differs."""
    return difference(dense, stored) is None and not torch.equal(stored.to(dense), dense)


def sentence(found: Mapping[str, Difference], before: str, after: str) -> list[str]:
    """`…: 2 tensors, most in a [64] (…)…`: a sentence on some tensors, none if there are none.

    `before` takes the number of tensors as `{n}`.
    """
    if not found:
        return []
    name = max(found, key=lambda each: (found[each].differ / found[each].of, each))
    return [f"{before.format(n=_count(len(found)))}, most in {name} {found[name]}{after}"]


def _count(n: int) -> str:
    return "1 tensor" if n == 1 else f"{n} tensors"


def listed(names: Iterable[str]) -> str:
    """Up to three names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
