"""One GPU a job: names of GPUs that need not exist, jobs that are real processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.helpers.warm_worker import wait_until, warm_worker, with_stages

from polyprune.errors import UserError
from polyprune.running import gpus, worker
from polyprune.running.device import choose_device
from polyprune.running.gpus import visible_gpus

ROOT = Path(__file__).parents[2]
STAGES = '''
"""A stage that says what it sees and stays until it is told to go; and a worker without torch."""
import os, sys, time
from pathlib import Path
from types import ModuleType

for name in ("polyprune.model.preload", "polyprune.stages.hold"):
    sys.modules[name] = ModuleType(name)

def hold(output: Path, provenance: dict):
    output.with_suffix(".part").write_text(f"{os.environ.get('CUDA_VISIBLE_DEVICES')} {os.getpid()}")
    output.with_suffix(".part").rename(output)
    while not output.with_suffix(".go").exists():
        time.sleep(0.02)

sys.modules["polyprune.stages.hold"].hold = hold
'''


class Job:
    """A job of `n` GPUs that runs until `end`."""

    def __init__(self, folder: Path, name: str, n: int, environment: dict[str, str]) -> None:
        self.output, self.log = folder / name, folder / f"{name}.log"
        words = ["--settings", "{}", "--output", str(self.output), "--log", str(self.log), "--threads", "1"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "polyprune", "hold", *words, "--gpus", str(n)],
            cwd=folder, env=environment, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def sees(self) -> str:
        wait_until(self.output.exists)
        return self.output.read_text().split(" ")[0]

    def waits(self, gpus: str = "3, 5") -> bool:
        wait_until(lambda: self.log.exists() and f"waiting: other jobs have all GPUs ({gpus})" in self.log.read_text())
        return not self.output.exists()

    def end(self) -> None:
        self.output.with_suffix(".go").touch()
        assert self.process.wait(timeout=30) == 0


@pytest.fixture
def scratch() -> Iterator[str]:
    """A folder with a short name: that of a worker's socket has at most 107 characters."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield folder


@pytest.fixture
def environment(tmp_path: Path, scratch: str) -> dict[str, str]:
    clean = {key: value for key, value in os.environ.items() if key not in (worker.SOCKET_VARIABLE, "SLURM_JOB_ID")}
    return clean | {
        "PYTHONPATH": with_stages(tmp_path / "packages", STAGES), "TMPDIR": scratch, "CUDA_VISIBLE_DEVICES": "3,5",
        gpus.LOCKS: scratch,
    }  # fmt: skip


@pytest.fixture
def start(tmp_path: Path, environment: dict[str, str]) -> Iterator[Callable[..., Job]]:
    """Start a job; variables are set on top of the environment."""
    jobs: list[Job] = []

    def job(name: str, n: int = 1, **variables: str) -> Job:
        jobs.append(Job(tmp_path, name, n, environment | variables))
        return jobs[-1]

    yield job
    for each in jobs:
        each.process.kill()
        each.process.wait()


@pytest.fixture
def warm(environment: dict[str, str]) -> Iterator[str]:
    """The socket of a warm worker."""
    with warm_worker(environment) as (_, socket):
        yield socket


def test_gpus_are_those_listed_else_all_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """All are counted from 0, as CUDA does in a container that has some of the machine's."""
    for name in ("nvidia3", "nvidia10", "nvidia2", "nvidiactl", "nvidia-uvm", "null"):
        (tmp_path / name).touch()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_gpus(tmp_path) == ["0", "1", "2"]
    for listed, names in {"": [], "-1": [], "3, 5": ["3", "5"], "GPU-8a,MIG-b/1": ["GPU-8a", "MIG-b/1"]}.items():
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
        assert visible_gpus(tmp_path) == names


@pytest.mark.parametrize("how", ["alone", "warm"])
def test_jobs_side_by_side_see_different_gpus_and_the_third_waits(
    how: str, start: Callable[..., Job], request: pytest.FixtureRequest
):
    variables = {worker.SOCKET_VARIABLE: request.getfixturevalue("warm")} if how == "warm" else {}
    first, second = start("first", **variables), start("second", **variables)
    assert {first.sees(), second.sees()} == {"3", "5"}
    third = start("third", **variables)
    assert third.waits()
    first.end()
    assert third.sees() == first.sees()


@pytest.mark.parametrize("how", ["alone", "warm"])
def test_the_gpu_of_a_killed_job_is_free_again(how: str, start: Callable[..., Job], request: pytest.FixtureRequest):
    variables = {worker.SOCKET_VARIABLE: request.getfixturevalue("warm")} if how == "warm" else {}
    first, second = start("first", **variables), start("second", **variables)
    seen = {first.sees(), second.sees()}
    os.kill(int(second.output.read_text().split()[1]), signal.SIGKILL)
    assert second.process.wait(timeout=30) != 0
    third = start("third", **variables)
    assert {first.sees(), third.sees()} == seen


def test_a_job_without_a_gpu_leases_none(start: Callable[..., Job]):
    holders = start("first"), start("second")
    assert {holder.sees() for holder in holders} == {"3", "5"}
    assert start("third", n=0).sees() == "3,5"


@pytest.mark.parametrize(("listed", "slurm"), [("3", "1"), ("MIG-b/1", "1"), ("", "1"), ("", None)])
def test_where_there_is_nothing_to_choose_the_environment_stays(
    listed: str, slurm: str | None, start: Callable[..., Job]
):
    """In a Slurm job, of which two on one node may both call their GPU 0; and without a GPU."""
    variables = {"CUDA_VISIBLE_DEVICES": listed} | ({"SLURM_JOB_ID": slurm} if slurm else {})
    jobs = [start(name, **variables) for name in ("first", "second")]
    assert [job.sees() for job in jobs] == [listed, listed]


@pytest.mark.parametrize("listed", ["3", "MIG-b/1"])
def test_a_job_that_sees_one_gpu_only_waits_for_it(listed: str, start: Callable[..., Job]):
    """Two runs of Snakemake may have been given lists that overlap."""
    first = start("first", CUDA_VISIBLE_DEVICES=f"{listed},7")
    assert first.sees() == listed
    second = start("second", CUDA_VISIBLE_DEVICES=listed)
    assert second.waits(listed)
    first.end()
    assert second.sees() == listed


def test_a_job_of_two_gpus_gets_two(start: Callable[..., Job]):
    assert start("both", n=2, CUDA_VISIBLE_DEVICES="3,5,7").sees() == "3,5"


def test_a_job_of_two_gpus_holds_none_while_it_waits(start: Callable[..., Job]):
    """Else two such jobs might wait for each other for ever."""
    first = start("first", CUDA_VISIBLE_DEVICES="5")
    assert first.sees() == "5"
    both = start("both", n=2)
    assert both.waits()
    other = start("other", CUDA_VISIBLE_DEVICES="3")
    assert other.sees() == "3"
    first.end()
    other.end()
    assert both.sees() == "3,5"


def test_allocations_of_slurm_do_not_wait_for_each_other(start: Callable[..., Job]):
    one = {start(name, SLURM_JOB_ID="1").sees() for name in ("a", "b")}
    other = {start(name, SLURM_JOB_ID="2").sees() for name in ("c", "d")}
    assert one == other == {"3", "5"}


def test_jobs_with_other_folders_for_temporary_files_do_not_share_a_gpu(start: Callable[..., Job], tmp_path: Path):
    """As on clusters that give each job its own; the usual place of locks is not in them."""
    folders = [tmp_path / "of one", tmp_path / "of another"]
    for folder in folders:
        folder.mkdir()
    seen = {start(folder.name.split()[1], TMPDIR=str(folder)).sees() for folder in folders}
    assert seen == {"3", "5"}


def test_locks_lie_on_the_machine_whatever_tmpdir_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(gpus.LOCKS, raising=False)
    monkeypatch.setattr(gpus, "PLACES", (tmp_path / "no", tmp_path))
    monkeypatch.setenv("TMPDIR", "/nowhere")
    monkeypatch.setenv(gpus.VISIBLE, "3,5")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert gpus.lease(1) == ["3"]
    assert [file.name for file in tmp_path.rglob("3")] == ["3"]


def leased_here(monkeypatch: pytest.MonkeyPatch, folder: Path, n: int, **variables: str) -> list[str]:
    """`gpus.lease` in this process, whose torch sees no GPU."""
    monkeypatch.setenv(gpus.LOCKS, str(folder))
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return gpus.lease(n)


@pytest.mark.parametrize(
    ("variables", "name"),
    [({"CUDA_VISIBLE_DEVICES": "3,5"}, "3"), ({"CUDA_VISIBLE_DEVICES": "0", "SLURM_JOB_ID": "1"}, "0")],
)
def test_a_job_whose_torch_does_not_see_its_gpu_says_so_and_does_not_take_the_cpu(
    variables: dict[str, str], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    leased = leased_here(monkeypatch, tmp_path, 1, **variables)
    assert leased == [name]
    with pytest.raises(UserError, match=rf"given GPU {name}, but torch \S+ sees none: install .* engine.device to cpu"):
        choose_device("auto", leased)
    assert choose_device("cpu", leased).type == "cpu"


@pytest.mark.parametrize(("n", "listed"), [(0, "3,5"), (1, "")])
def test_without_a_gpu_the_cpu_is_taken(n: int, listed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Jobs of tiny models; and of large ones on a laptop."""
    assert leased_here(monkeypatch, tmp_path, n, CUDA_VISIBLE_DEVICES=listed) == []
    assert choose_device("auto", []).type == "cpu"


def test_the_local_profile_runs_as_many_gpu_jobs_as_there_are_gpus(monkeypatch: pytest.MonkeyPatch):
    from snakemake.profiles import ProfileConfigFileParser

    monkeypatch.chdir(ROOT)
    for listed, count in {"3,5": 2, "": 1, "0": 1}.items():
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
        with (ROOT / "local/profile.yaml").open(encoding="utf-8") as stream:
            assert ProfileConfigFileParser().parse(stream)["resources"] == [f"gpu={count}"]


def test_every_rule_with_gpus_passes_them_on():
    """And no other. Rules that may have a GPU take their resources from `needs`, all but `small`."""
    text = "".join(file.read_text(encoding="utf-8") for file in sorted((ROOT / "rules").glob("*.smk")))
    rules = re.split(r"^ *rule\b", text, flags=re.MULTILINE)[1:]
    with_gpus = [re.search(r"\*\*needs\.(?!small\b)\w+\(", rule) is not None for rule in rules]
    passing = ["--gpus {resources.gpu}" in "".join(re.findall(r'"([^"]*)"', rule)) for rule in rules]
    assert with_gpus == passing and sum(passing) == 16
