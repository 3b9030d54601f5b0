"""A study of the smallest models that go through the whole chain, run by Snakemake in a checkout of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.battery import contents
from tests.helpers.checkout import copy_repository

STUDY = """\
corpora:
  little: {kind: demo, languages: [de, sw], documents: {train: 150, calibration: 60, evaluation: 40}}
models:
  small:
    title: Small
    source: {kind: train, architecture: llama, steps: 4, batch_sequences: 4, sequence_length: 32, vocabulary: 400}
    shape: {layers: 2, hidden: 32, intermediate: 48, heads: 2, kv_heads: 1, vocabulary: 400, max_positions: 64}
    text: {corpus: little, sequence_length: 32, calibration_sequences: 4, evaluation_sequences: 2, sampling: packed}
studies:
  least:
    grids:
      main: {models: [small], methods: [wanda, sparsegpt], schemes: ["0.50"], calibrations: [de], seeds: [0]}
    tables:
      table1: {title: Small, report: drift, grids: [main]}
evaluation: {demo_questions: 4}
"""
CELL = "results/small/sparsegpt/0.50/de/seed0"
TARGETS = (
    "results/least/table1.parquet",
    f"{CELL}/export/config.json",
    f"{CELL}/evaluation/arc.parquet",
)


@dataclass(frozen=True)
class SmallStudy:
    """A checkout with the study, and the environment it is run in."""

    folder: Path
    environment: Mapping[str, str]

    @property
    def results(self) -> Path:
        return self.folder / "results"

    @property
    def temporary(self) -> Path:
        """The folder for temporary files of its runs."""
        return self.folder / "temporary"

    def start(self, *targets: str, words: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        """Snakemake under way, in a session of its own; its words go to `log.txt`."""
        command = [
            sys.executable,
            "-m",
            "snakemake",
            "--profile",
            "local",
            "--cores",
            "2",
            "--configfile",
            "small.yaml",
        ]
        with (self.folder / "log.txt").open("w") as log:
            return subprocess.Popen(
                [*command, *words, "--", *(targets or TARGETS)],
                cwd=self.folder,
                env=dict(self.environment),
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
                preexec_fn=heeds_interrupts,
            )

    def run(self, *targets: str, words: tuple[str, ...] = (), timeout: int = 600) -> int:
        """Exit code; a folder that a killed run left locked is unlocked first."""
        if any((self.folder / ".snakemake" / "locks").glob("*")):
            assert self.start(*targets, words=("--unlock",)).wait(timeout) == 0
        return self.start(*targets, words=words).wait(timeout)

    def said(self) -> str:
        return (self.folder / "log.txt").read_text(encoding="utf-8", errors="replace")

    def finished_jobs(self) -> int:
        """Of the run that was started last, which says it in Snakemake's own log only."""
        logs = sorted((self.folder / ".snakemake" / "log").glob("*.snakemake.log"), key=lambda log: log.stat().st_mtime)
        return logs[-1].read_text(encoding="utf-8", errors="replace").count("Finished jobid") if logs else 0

    def contents(self) -> dict[str, str]:
        """SHA-256 of every file of the results; what jobs remember for themselves is none."""
        return {place: sha for place, sha in contents(self.results).items() if "/.cache/" not in f"/{place}"}

    def leftovers(self) -> list[str]:
        """What killed jobs left: parts of files and folders that are not finished."""
        endings = (".part", ".layers", ".parts")
        parts = [path.as_posix() for path in self.results.rglob("*") if path.name.endswith(endings)]
        return parts + [path.as_posix() for path in self.temporary.glob("polyprune-*")]


def heeds_interrupts() -> None:
    """A shell that puts tests into the background lets them, and all that they start, ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def small_study(folder: Path, **environment: str) -> SmallStudy:
    """A checkout without results."""
    copy_repository(folder)
    (folder / "small.yaml").write_text(STUDY, encoding="utf-8")
    (folder / "temporary").mkdir()
    usual = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "POLYPRUNE_WORKER")}
    return SmallStudy(folder, usual | {"OMP_NUM_THREADS": "1", "TMPDIR": str(folder / "temporary")} | environment)


def copied(study: SmallStudy, folder: Path) -> SmallStudy:
    """The checkout as it is, with all times, at another place."""
    shutil.copytree(study.folder, folder, ignore=lambda place, names: names if Path(place) == study.temporary else [])
    return SmallStudy(folder, {**study.environment, "TMPDIR": str(folder / "temporary")})


def processes_of(study: SmallStudy) -> dict[str, list[int]]:
    """Numbers of the processes that run in a checkout, by what they are: `snakemake`, `worker` or `job`."""
    found: dict[str, list[int]] = {"snakemake": [], "worker": [], "job": []}
    numbers = sorted(int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    for entry in (Path("/proc", str(number)) for number in numbers):
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            here = (entry / "cwd").resolve() == study.folder.resolve()
        except OSError:
            continue
        if here and "snakemake" in words:
            found["snakemake"].append(int(entry.name))
        elif here and "polyprune.running.worker" in words:
            found["job" if _parent_of(entry) in found["worker"] else "worker"].append(int(entry.name))
        elif here and "polyprune" in words:
            found["job"].append(int(entry.name))
    return found


def _parent_of(entry: Path) -> int:
    with suppress(OSError):
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    return 0


def end(process: subprocess.Popen[str], study: SmallStudy, patience: float = 30.0) -> None:
    """Wait for a run that was hit to end, or end it; then until no process of it is left."""
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for number in still_running(study, patience):
        os.kill(number, signal.SIGKILL)


def still_running(study: SmallStudy, patience: float = 30.0) -> list[int]:
    """Processes of a checkout that have not ended after so many seconds: a worker outlives its Snakemake by one."""
    until = time.monotonic() + patience
    while (left := [number for numbers in processes_of(study).values() for number in numbers]) and (
        time.monotonic() < until
    ):
        time.sleep(0.2)
    return left
