"""Runs of other checkouts in the same results folder, which Snakemake does not see: it locks a checkout, not results.

Each run that is about to start says in `results/.cache/runs` which files it reads and makes. It does not begin if that
of another checkout makes one of them, or reads one that it would make: Snakemake removes a file when its job starts,
and jobs of the other run would not find it. Runs that have nothing in common go on side by side.

Of two that start at the same moment, the one goes on whose note the file system has as the older one. Notes of runs
that are known to be gone are removed: of this checkout, which Snakemake itself has locked, and of processes that this
machine does not have any more. That a run of another machine was killed nobody can know here.
"""

from __future__ import annotations

import atexit
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from polyprune.artifacts.json_files import read_json, write_json
from polyprune.errors import UserError
from polyprune.processes import is_alive, owner

RUNS = Path("results/.cache/runs")
Note = dict[str, Any]


def announce(jobs: Iterable[Any]) -> None:
    """Before the first of Snakemake's jobs; the note goes when this process ends.

    Where nothing may be written, nobody else can make anything either.

    Raises:
        UserError: another run is at work on the same files; names one, the run, and what to do.
    """
    jobs, process = list(jobs), os.getpid()
    path = RUNS / f"{owner()}-{process}.json"
    ours: Note = {
        "checkout": str(Path.cwd().resolve()),
        "host": socket.gethostname(),
        "owner": owner(),
        "process": process,
        "makes": _results(file for job in jobs for file in job.output),
        "reads": _results(file for job in jobs for file in job.input),
    }
    try:
        write_json(path, ours)
    except UserError:
        return
    atexit.register(_forget, path, process)
    for other, theirs in _others(path, ours):
        if (common := _in_common(ours, theirs)) and _is_before(other, path):
            path.unlink()
            files = f"{common[0]} is" if len(common) == 1 else f"{common[0]} and {len(common) - 1} more files are"
            run = f"{theirs['checkout']} (process {theirs['process']} on {theirs['host']})"
            raise UserError(
                f"{files} in use by another run in this results folder, of {run}: wait until it has ended and run "
                f"again, or take a results folder of your own. If that run is gone: rm {other}"
            )


def _results(files: Iterable[Any]) -> list[str]:
    return sorted({str(file) for file in files if str(file).startswith("results/")})


def _others(path: Path, ours: Note) -> Iterator[tuple[Path, Note]]:
    """Notes of runs that may still be at work."""
    for other in sorted(path.parent.glob("*.json")):
        try:
            theirs = read_json(other)
        except UserError:
            continue  # it has ended meanwhile
        if other != path and _is_gone(theirs, ours):
            other.unlink(missing_ok=True)
        elif other != path:
            yield other, theirs


def _is_gone(theirs: Note, ours: Note) -> bool:
    on_this_machine = theirs["owner"] == ours["owner"]
    return theirs["checkout"] == ours["checkout"] or (on_this_machine and not is_alive(theirs["process"]))


def _in_common(ours: Note, theirs: Note) -> list[str]:
    """Files that one makes and the other makes or reads."""
    made, of_them = set(ours["makes"]), set(theirs["makes"])
    return sorted(made & of_them | made & set(theirs["reads"]) | of_them & set(ours["reads"]))


def _is_before(other: Path, path: Path) -> bool:
    with suppress(FileNotFoundError):
        return (other.stat().st_mtime_ns, other.name) < (path.stat().st_mtime_ns, path.name)
    return False


def _forget(path: Path, process: int) -> None:
    """In the process that wrote the note, not in those that were forked from it."""
    if os.getpid() == process:
        with suppress(OSError):
            path.unlink(missing_ok=True)
