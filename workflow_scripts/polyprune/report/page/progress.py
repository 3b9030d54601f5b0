"""How far a study is, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from polyprune.report.page.content import Part

STATES = {"finished": "Finished", "outdated": "To be made again", "outstanding": "To come"}


def label(name: str) -> str:
    """`table1` is Table 1."""
    stem = name.rstrip("0123456789")
    return f"{stem.capitalize()} {name.removeprefix(stem)}"


def states(parts: Sequence[Part]) -> Iterator[tuple[str, str]]:
    """Of each state in which something is: what it is called, and the tables and figures that are in it."""
    for state, heading in STATES.items():
        names = [part.name for part in parts if part.state == state]
        if names:
            yield heading, "; ".join(_names(names))


def _names(names: Sequence[str]) -> Iterator[str]:
    """`Tables 2 to 4, 7`, `Figure 1`."""
    for stem, group in groupby(names, lambda name: name.rstrip("0123456789")):
        numbers = [int(name.removeprefix(stem)) for name in group]
        yield f"{stem.capitalize()}{'s' * (len(numbers) > 1)} {', '.join(_runs(numbers))}"


def _runs(numbers: Sequence[int]) -> Iterator[str]:
    """Three or more in a row as `2 to 4`."""
    for _, group in groupby(enumerate(sorted(numbers)), lambda pair: pair[1] - pair[0]):
        run = [number for _, number in group]
        yield f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run))
