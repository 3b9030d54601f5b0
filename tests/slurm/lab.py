"""Working copies of the repository whose jobs go to a cluster, and what tests do to them."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import yaml
from tests.helpers.small_study import heeds_interrupts
from tests.slurm.cluster import Cluster

from polyprune.settings.config import Settings
from polyprune.settings.load import load_settings

T = TypeVar("T")

HERE = Path(__file__).parent
CELL = "results/mini/wanda/0.50/de-sw/seed0"
MASK = f"{CELL}/mask.safetensors"
SCORES = f"{CELL}/perplexity.parquet"
PRUNE_LOG = "mini/wanda/0.50/de-sw/seed0/prune_model.log"
PARTITIONS = {
    "batch": {"max_runtime": "24h", "max_mem_mb": 400_000, "max_threads": 16},
    "accelerated": {"max_runtime": "48h", "max_mem_mb": 400_000, "max_threads": 16, "max_gpu": 2},
}
PATIENCE = 600
"""Seconds after which something that should happen is said not to."""


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder by its path there, but of libraries' caches."""
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items() if ".cache" not in name}


class Run:
    """A snakemake at work in a working copy."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def output(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def code(self) -> int:
        """Its exit status, once it ends."""
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"snakemake did not end within {PATIENCE} s:\n{self.output}") from None

    def succeed(self) -> None:
        code = self.code()
        assert code == 0, self.output

    def says(self, pattern: str) -> None:
        assert re.search(pattern, self.output, re.MULTILINE), self.output

    def meanwhile(self, wanted: Callable[[], T], what: str) -> T:
        """The first true value of `wanted`, which should come before snakemake ends."""
        end = time.monotonic() + PATIENCE
        while not (value := wanted()):
            waits = self.process.poll() is None and time.monotonic() < end
            assert waits, f"snakemake ended, or {PATIENCE} s went by, before {what}:\n{self.output}"
            time.sleep(0.2)
        return value


class Workplace:
    """A working copy in which the study has run undisturbed."""

    def __init__(self, folder: Path, cluster: Cluster, undisturbed: Path) -> None:
        self.folder = folder / "copy"
        self.cluster = cluster
        self.undisturbed = undisturbed
        self.hold_folder = folder / "hold"
        self.user_file = folder / "my-partitions.yaml"
        self._runs: list[Run] = []
        shutil.copytree(undisturbed, self.folder, symlinks=True)
        self.say_in_user_file(partitions=PARTITIONS)

    def say_in_user_file(self, **content: object) -> None:
        self.user_file.write_text(yaml.safe_dump(content))

    def start(self, *words: str, **environment: str) -> Run:
        """`snakemake --profile slurm`, which asks about jobs more often."""
        command = [sys.executable, str(HERE / "launch.py"), "--profile", "slurm"]
        command += ["--max-status-checks-per-second", "10", *words]
        environment |= {"PYTHONPATH": str(HERE / "hooks"), "POLYPRUNE_CLUSTER": str(self.user_file)}
        log = self.folder / f"run{len(self._runs)}.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.cluster.environment(**environment),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                preexec_fn=heeds_interrupts,
            )
        self._runs.append(Run(process, log))
        return self._runs[-1]

    def start_held(self, *words: str) -> Run:
        """The same; prunes stop after their first layer, until `release`."""
        self.hold_folder.mkdir(exist_ok=True)
        (self.hold_folder / "hold").touch()
        return self.start(*words, FAULT_HOLD=str(self.hold_folder))

    def held(self, run: Run, jobs: int = 1) -> dict[str, dict[str, str]]:
        """What the jobs of a run that are held see, by job id, once there are as many."""
        notes = run.meanwhile(
            lambda: found if len(found := list(self.hold_folder.glob("*.json"))) == jobs else [],
            f"{jobs} jobs had finished a layer",
        )
        return {note.stem: json.loads(note.read_text()) for note in notes}

    def release(self) -> None:
        (self.hold_folder / "hold").unlink()

    def end(self) -> None:
        """Leave no snakemake and no job behind."""
        for run in self._runs:
            run.process.kill()
            run.process.wait()
        for job in self.jobs():
            self.cluster.run("scancel", job["JobId"])

    def jobs(self, rule: str | None = None) -> list[dict[str, str]]:
        """Slurm's view of all jobs submitted from this working copy, or of one rule's; in the order of submission."""
        jobs = [job for job in self.cluster.jobs() if job["WorkDir"] == str(self.folder)]
        return [job for job in jobs if rule in (None, rule_of(job))]

    @property
    def settings(self) -> Settings:
        config = self.folder / "config.yaml"
        return load_settings(yaml.safe_load(config.read_text(encoding="utf-8")), [config])

    def is_as_undisturbed(self) -> None:
        """Every file of the results, and no other, byte for byte."""
        found, expected = (digests(folder / "results") for folder in (self.folder, self.undisturbed))
        assert MASK.removeprefix("results/") in expected
        differ = {name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name)}
        assert not differ, {name: (name in found, name in expected) for name in differ}

    def has_taken_over_the_first_layer(self) -> bool:
        """Whether the last prune found its first layer on disk."""
        return "layer 1/3: taken over" in self.log_of(PRUNE_LOG)

    def log_of(self, name: str) -> str:
        return (self.folder / "logs" / name).read_text(encoding="utf-8")


def rule_of(job: dict[str, str]) -> str:
    """The rule of a job, which the plugin writes in its comment."""
    match = re.match(r"rule_(\w+?)(_wildcards_|$)", job["Comment"])
    assert match, job
    return match[1]
