"""Jobs that failed and are still to be done: why, and what to type once that is mended. From logs; starts nothing."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ERROR = re.compile(r"^\d{4}-\d\d-\d\d [\d:,]+ ERROR (.*?)(?=^\d{4}-\d\d-\d\d [\d:,]+ |\Z)", re.M | re.S)
"""What a log says (`log.py`), up to the next line of its own."""
_UNEXPECTED = "unexpected error"
_MISTAKE = "error: "


@dataclass(frozen=True)
class Failure:
    """A job that failed the last time it ran."""

    rule: str
    why: str
    command: str


def failures_of(jobs: Iterable[Mapping[str, Any]], at_work: set[str], words: Sequence[str] = ()) -> list[Failure]:
    """Of planned jobs those whose log ends in an error; not those at work again, whose outputs are in `at_work`.

    `words` name configuration files, as for Snakemake.
    """
    found = []
    for job in jobs:
        if not at_work.isdisjoint(job["output"]):
            continue
        for log in map(Path, job["log"]):
            if why := error_of(log):
                command = ["snakemake", "--profile", "local", *words, "--", *job["output"][:1]]
                found.append(Failure(job["rule"], f"{why} ({log})", shlex.join(command)))
    return found


def error_of(log: Path) -> str | None:
    """The last error that a log tells, in one line; of an unexpected one its exception."""
    if (error := _last_error(log)) is None:
        return None
    lines = error.removeprefix(_MISTAKE).strip().splitlines()
    return (
        f"{_UNEXPECTED}: {lines[-1].strip()}" if lines[0].startswith(_UNEXPECTED) else " ".join(map(str.strip, lines))
    )


def tells_mistake(log: Path) -> bool:
    """Whether a log ends in an error that its stage foresaw (`UserError`): it comes again until somebody mends it."""
    return (_last_error(log) or "").startswith(_MISTAKE)


def _last_error(log: Path) -> str | None:
    if not log.is_file():
        return None
    errors = _ERROR.findall(log.read_text(encoding="utf-8", errors="replace"))
    return errors[-1] if errors else None
