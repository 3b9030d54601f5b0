"""A study on a disk that fills up, again and again: each time a sentence, and with room enough the right bytes."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from tests.helpers.battery import Cases
from tests.helpers.small_disks import may_mount
from tests.helpers.small_study import TARGETS, small_study

Judge = Callable[[str], Cases]
WORDS = [sys.executable, "-m", "snakemake", "--profile", "local", "--cores", "2", "--configfile", "small.yaml", "--"]
SIZES = ("100k", "250k", "400k", "700k", "900k", "64m")
"""Of the disk. The whole study takes 1.3 MB."""
FULL_DISK = """
mount -t tmpfs -o size=4k none results || exit 9
for size in $SIZES; do
    mount -o remount,size=$size results
    "$@" > said-$size.txt 2>&1
    echo $size $?
    find results -name "*.part" >> said-$size.txt
done
cp -a results/. kept/
"""


@pytest.mark.skipif(not may_mount(), reason="this user may mount no disk; test_surroundings.py limits files instead")
def test_a_disk_that_fills_up_costs_a_run_and_nothing_else(cases: Judge, tmp_path: Path) -> None:
    undisturbed = small_study(tmp_path / "undisturbed")
    assert undisturbed.run() == 0, undisturbed.said()
    study, judge = small_study(tmp_path / "study"), cases("full disks")
    for folder in ("results", "kept"):
        (study.folder / folder).mkdir()
    ran = subprocess.run(
        ["unshare", "-rm", "bash", "-c", FULL_DISK, "bash", *WORDS, *TARGETS],
        cwd=study.folder,
        env={**study.environment, "SIZES": " ".join(SIZES)},
        capture_output=True,
        text=True,
    )
    codes = dict(line.split() for line in ran.stdout.splitlines())
    assert set(codes) == set(SIZES) and codes[SIZES[0]] != "0" and codes[SIZES[-1]] == "0", ran.stdout + ran.stderr
    for size, code in codes.items():
        judge.judge(size, partial(verdict, study.folder / f"said-{size}.txt", int(code)), "as it should", sure=True)
    study.results.rmdir()
    (study.folder / "kept").rename(study.results)
    judge.judge("in the end", study.contents, undisturbed.contents(), sure=True)
    shutil.rmtree(tmp_path)


def verdict(log: Path, code: int) -> str:
    """Of one run, from its words."""
    said = log.read_text(encoding="utf-8", errors="replace")
    wrong = re.search(r"Traceback|\.part\b", said) or (code and "error: no space left for results/" not in said)
    return said if wrong else "as it should"
