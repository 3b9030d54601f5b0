"""Two clones make the same bytes: with another home, time zone, locale, umask, working folder and number of threads.

Here one cell, in processes of their own; in the whole battery a study, by Snakemake.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.helpers.battery import FULL, Cases
from tests.helpers.cells import arguments, register
from tests.helpers.checkout import ROOT
from tests.helpers.small_study import small_study
from tests.helpers.tiny import random_model

Judge = Callable[[str], Cases]
CLONES: dict[str, tuple[dict[str, str], int]] = {
    "first": ({"TZ": "UTC", "LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1"}, 0o022),
    "zweiter Klon/mit Ü": (
        {
            "HOME": "/nowhere",
            "TZ": "Pacific/Kiritimati",
            "LC_ALL": "de_DE.ISO-8859-1",
            "LANG": "tr_TR.UTF-8",
            "OMP_NUM_THREADS": "3",
            "MKL_NUM_THREADS": "2",
            "PYTHONHASHSEED": "7",
            "COLUMNS": "40",
        },
        0o077,
    ),
}
"""Folder, environment and umask."""


def test_two_clones_make_a_cell_of_the_same_bytes(cases: Judge, tmp_path: Path) -> None:
    found, judge = set[bytes](), cases("two clones")
    for place, (environment, umask) in CLONES.items():
        folder = tmp_path / place
        (folder / "results").mkdir(parents=True)
        if not found:
            register(random_model("llama"), folder / "results" / "tiny")
        else:
            shutil.copytree(tmp_path / "first" / "results", folder / "results", dirs_exist_ok=True)
        cell = Path("results/tiny/sparsegpt/0.50/de-en/seed0/weights.safetensors")
        done = subprocess.run(
            [sys.executable, "-m", "polyprune", *arguments(Path("results/tiny"), "sparsegpt", "0.50", cell)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT / "workflow_scripts"), "PYTHONUTF8": "1", **environment},
            capture_output=True,
            umask=umask,
        )
        assert done.returncode == 0, done.stderr
        found.add((folder / cell).read_bytes())
        assert stat.S_IMODE((folder / cell).stat().st_mode) == 0o666 & ~umask
        judge.judge(place, lambda: len(found), 1, sure=True)


if FULL:

    def test_two_clones_make_a_study_of_the_same_bytes(cases: Judge, tmp_path: Path) -> None:
        found, judge = list[dict[str, str]](), cases("two clones")
        for place, (environment, umask) in CLONES.items():
            study = small_study(tmp_path / place, **environment)
            before = os.umask(umask)
            assert study.run() == 0, study.said()
            os.umask(before)
            found.append(study.contents())
        assert len(found[0]) > 60
        judge.judge("study", lambda: found[1], found[0], sure=True)
        shutil.rmtree(tmp_path)
