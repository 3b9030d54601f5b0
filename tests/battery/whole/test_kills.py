"""SIGKILL of a job, of the warm worker, of Snakemake: the next run ends with the bytes of one that nobody disturbed.

Each round has surroundings of its own, too: home, time zone, locale, umask, working folder, threads. `POLYPRUNE_KILLS`
says how many; the moment of each follows from its number.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from tests.helpers.battery import Cases
from tests.helpers.small_study import SmallStudy, end, processes_of, small_study, still_running

Judge = Callable[[str], Cases]
KILLS = int(os.environ.get("POLYPRUNE_KILLS", "24"))
VICTIMS = ("job", "snakemake", "worker")
JOBS = 13
"""Of the 17 of the study, after which the last kills come."""
SURROUNDINGS = (
    {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "OMP_NUM_THREADS": "2"},
    {"TZ": "America/St_Johns", "LANG": "tr_TR.UTF-8", "PYTHONHASHSEED": "7"},
    {"HOME": "/nowhere", "LC_ALL": "de_DE.ISO-8859-1"},
    {},
)
UMASKS = (0o022, 0o077, 0o002, 0o027)
FOLDERS = ("checkout", "a folder/with spaces", "ünd/noch/tiefer", "x")
PATIENCE = 300
"""Seconds until the moment has to have come."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """SHA-256 of every file that the study makes."""
    study = small_study(tmp_path_factory.mktemp("undisturbed") / "checkout")
    assert study.run() == 0, study.said()
    yield study.contents()
    shutil.rmtree(study.folder)


@pytest.fixture
def umask() -> Iterator[Callable[[int], None]]:
    before = os.umask(0o022)
    yield os.umask  # type: ignore[misc]
    os.umask(before)


def hit(study: SmallStudy, victim: str, jobs: int, delay: float) -> bool:
    """Kill a process of a run, so many finished jobs and seconds after it started; False if it ended before."""
    running = study.start()
    until = time.monotonic() + PATIENCE
    while running.poll() is None and study.finished_jobs() < jobs and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(delay)
    was_hit = False
    while running.poll() is None and not was_hit and time.monotonic() < until:
        for number in processes_of(study)[victim][:1]:
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
                was_hit = True
        time.sleep(0.05)
    end(running, study)
    return was_hit


@pytest.mark.parametrize("number", range(KILLS))
def test_a_killed_run_goes_on_to_the_same_bytes(
    cases: Judge, undisturbed: dict[str, str], number: int, tmp_path: Path, umask: Callable[[int], None]
) -> None:
    draw, victim = Random(f"kill {number}"), VICTIMS[number % len(VICTIMS)]
    jobs, delay = draw.randrange(JOBS), 1.5 * draw.random()
    umask(UMASKS[number % len(UMASKS)])
    study = small_study(tmp_path / FOLDERS[number % len(FOLDERS)], **SURROUNDINGS[number % len(SURROUNDINGS)])
    assert hit(study, victim, jobs, delay), f"no {victim} was there to be killed: {study.said()}"
    told = study.said()

    def finished() -> dict[str, str]:
        assert study.run() == 0, told + study.said()
        return study.contents()

    cases("kills").judge((victim, jobs, delay), finished, undisturbed, sure=True)
    assert still_running(study) == []
    assert study.leftovers() == []
    shutil.rmtree(study.folder)
