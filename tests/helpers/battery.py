"""What the battery asks of every case: the right value or one readable error, and nothing else touched.

A case is a surface, a damage and a verdict. It is tried by `Cases.judge`, which counts it; the counts of all tests go
to pytest's reports, so that they add up over its workers (`tests/battery/conftest.py`).
`POLYPRUNE_BATTERY=full` tries everything; else a part of each table that takes seconds.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings

from polyprune.errors import UserError

FULL = os.environ.get("POLYPRUNE_BATTERY") == "full"
WANTED = 500
"""Cases that the whole battery has at least."""
WANTED_FLIPS = 300
"""Flipped bits among them."""
FLIPPED = "flipped bits"
COUNT = "battery"
"""Name of the entry in a test's report."""
_LONGEST = 2000
"""Characters of an error that a person still reads."""
Row = TypeVar("Row")


class Wrong:
    """A value that no reader gives: stands for `nothing is right but an error`."""


REFUSED = Wrong()


@dataclass
class Cases:
    """Tries cases of a surface and counts them in `properties`, those of a test's report."""

    surface: str
    properties: list[tuple[str, Any]]

    def judge(
        self, damage: object, act: Callable[[], Any], right: Any = REFUSED, says: Sequence[str] = (), sure: bool = False
    ) -> str | None:
        """What `act` said if it refused, else None; fails the test if it did anything else than it may.

        `right` is the one value that may be returned, none if the case is to be refused; `says` is in the error;
        `sure` cases must have the right value and may not be refused.
        """
        self.properties.append((COUNT, self.surface))
        try:
            found = act()
        except UserError as error:
            said = str(error)
            assert not sure, f"{self.surface}, {damage}: refused, though nothing is wrong: {said}"
            assert said.strip() and len(said) <= _LONGEST and "Traceback" not in said, f"{damage}: {said}"
            assert all(part in said for part in says), f"{self.surface}, {damage}: {said!r} does not say {says}"
            return said
        except Exception as error:
            raise AssertionError(f"{self.surface}, {damage}: {type(error).__name__}: {error}") from error
        assert right is not REFUSED, f"{self.surface}, {damage}: taken without a word, as {found!r:.300}"
        assert same(found, right), f"{self.surface}, {damage}: {found!r:.300} instead of {right!r:.300}"
        return None


def same(first: Any, second: Any) -> bool:
    """Equal in value and type, all the way down: True is not 1, nor is 1 the text "1"."""
    return _written(first) == _written(second)


def _written(value: Any) -> str:
    """Everything in a value, arrays with all their digits."""
    if hasattr(value, "tolist"):
        return f"{value.dtype}{value.tolist()}"
    if hasattr(value, "to_dict"):
        return str(value.to_dict("list"))
    if isinstance(value, dict):
        return str({name: _written(entry) for name, entry in value.items()})
    if isinstance(value, list | tuple):
        return str([_written(entry) for entry in value])
    return repr(value)


def part_of(rows: Sequence[Row], short: int) -> list[Row]:
    """All rows in the whole battery, else a fixed draw of `short` of them."""
    if FULL or len(rows) <= short:
        return list(rows)
    return Random(f"{len(rows)}").sample(list(rows), short)


def examples(whole: int, short: int) -> settings:
    """How many hypothesis makes, the same ones each time, in the whole battery and else."""
    return settings(
        max_examples=whole if FULL else short,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def contents(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, by its path there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
