"""A job ends with its Snakemake, alone and in the warm worker, and with no one else's process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.helpers.warm_worker import status_of, wait_until, warm_worker, with_stages

from polyprune.running import lifeline, worker

STAGES = '''
"""A stage for these tests, and no torch: `preload` is empty here."""
import os, sys, time
from pathlib import Path
from types import ModuleType

sys.modules["polyprune.model.preload"] = ModuleType("polyprune.model.preload")
sys.modules["polyprune.stages.nap"] = sys.modules[__name__]

def nap(output: Path):
    output.with_suffix(".begun").write_text(str(os.getpid()))
    while not output.with_suffix(".go").exists():
        time.sleep(0.02)
    output.write_text("written")
'''
SNAKEMAKE = """
import subprocess, sys
from polyprune.running import lifeline
lifeline.tie()
subprocess.run(["bash", "-c", '"$@"; true', "job", *sys.argv[1:]])
"""
"""A process that starts a job by way of a shell, which does not end with it."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    paths = with_stages(tmp_path_factory.mktemp("stages"), STAGES)
    mine = (worker.SOCKET_VARIABLE, lifeline.VARIABLE)
    return {**{key: value for key, value in os.environ.items() if key not in mine}, "PYTHONPATH": paths}


@pytest.fixture(params=["alone", "warm"])
def jobs_environment(environment: dict[str, str], request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    if request.param == "alone":
        yield environment
    else:
        with warm_worker(environment) as (_, path):
            yield environment | {worker.SOCKET_VARIABLE: path}


def command(output: Path) -> list[str]:
    words = ["--settings", json.dumps({"job": "nap"}), "--output", str(output), "--log", f"{output}.log"]
    return [sys.executable, "-m", "polyprune", "nap", *words, "--threads", "1"]


def begun(output: Path) -> int:
    """The number of the job's process."""
    wait_until(lambda: output.with_suffix(".begun").exists() and output.with_suffix(".begun").read_text())
    return int(output.with_suffix(".begun").read_text())


def test_a_job_ends_with_a_snakemake_that_is_killed(jobs_environment: dict[str, str], tmp_path: Path):
    output = tmp_path / "output"
    snakemake = subprocess.Popen([sys.executable, "-c", SNAKEMAKE, *command(output)], env=jobs_environment)
    job = begun(output)
    snakemake.kill()  # and nobody asks for its exit code yet
    wait_until(lambda: not status_of(job), seconds=5)
    output.with_suffix(".go").touch()
    snakemake.wait()
    assert not output.exists()


def test_a_job_of_a_living_snakemake_ends_by_itself(jobs_environment: dict[str, str], tmp_path: Path):
    output = tmp_path / "output"
    snakemake = subprocess.Popen([sys.executable, "-c", SNAKEMAKE, *command(output)], env=jobs_environment)
    begun(output)
    with pytest.raises(subprocess.TimeoutExpired):
        snakemake.wait(3 * lifeline._SECONDS)
    output.with_suffix(".go").touch()
    assert snakemake.wait(60) == 0 and output.read_text() == "written"


@pytest.mark.parametrize(
    "of", ["0123456789abcdef", str(Path("/proc/self/ns/pid").readlink())], ids=["owner", "space of numbers"]
)
def test_a_number_from_elsewhere_means_nothing(environment: dict[str, str], tmp_path: Path, of: str):
    """In a container or on another machine, where the space of numbers has the same name, it is another process."""
    output = tmp_path / "output"
    job = subprocess.Popen(command(output), env=environment | {lifeline.VARIABLE: f"{of} 999999999"})
    begun(output)
    with pytest.raises(subprocess.TimeoutExpired):
        job.wait(3 * lifeline._SECONDS)
    output.with_suffix(".go").touch()
    assert job.wait(60) == 0
