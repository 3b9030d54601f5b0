"""The cluster's file and the environment of jobs: what they say is taken, or refused; never half of it."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.helpers.battery import Cases, part_of
from tests.helpers.checkout import ROOT

from polyprune.cluster.site import load_cluster

Judge = Callable[[str], Cases]

GOOD: dict[str, Any] = {
    "partitions": {
        "short": {"max_runtime": "4h", "max_mem_mb": 64000, "max_threads": 16},
        "big": {"max_runtime": "1-12:00:00", "max_gpu": 4, "available_gpu_models": ["h100"]},
    },
    "account": "proj-12",
    "qos": "high",
    "gpu_model": "h100",
    "constraint": "h100&ib",
    "modules": ["gcc/13", "cuda/12.6"],
}
PLACES = [
    ("partitions",), ("partitions", "short"),
    ("partitions", "short", "max_runtime"), ("partitions", "short", "max_mem_mb"),
    ("partitions", "big", "max_gpu"), ("partitions", "big", "available_gpu_models"), ("gpu_model",), ("modules",),
]  # fmt: skip
VALUES = ["", " ", -1, 10**30, 1.5, "4 hours", "12:00:00:00", "-4h", [], [[]], {"x": 1}, "$(id)", "a b", "ü", "a;b"]


def changed(place: tuple[str, ...], value: Any) -> dict[str, Any]:
    content: Any = json.loads(json.dumps(GOOD))
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return content


def held(place: tuple[str, ...]) -> Any:
    found: Any = load_cluster().model_dump()
    for key in place:
        found = found[key]
    return found


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("POLYPRUNE_CLUSTER", str(tmp_path / "cluster.yaml"))
    return tmp_path / "cluster.yaml"


def test_the_good_file_is_taken(cases: Judge, file: Path):
    file.write_text(yaml.safe_dump(GOOD), encoding="utf-8")
    cases("cluster's file").judge("nothing", lambda: held(("modules",)), GOOD["modules"], sure=True)


def test_wrong_values_in_the_clusters_file(cases: Judge, file: Path):
    judge = cases("cluster's file")
    for place, value in part_of(list(product(PLACES, VALUES)), 40):
        file.write_text(yaml.safe_dump(changed(place, value), allow_unicode=True), encoding="utf-8")
        is_number_as_text = place == ("gpu_model",) and isinstance(value, int | float)
        right = str(value) if is_number_as_text else value
        judge.judge((place, value), lambda at=place: held(at), right)


BYTES = {
    "empty": b"",
    "a list": b"[]",
    "a word": b"partitions",
    "tabs": b"partitions:\n\tshort: {}\n",
    "cut": b"partitions: {short: {max_gpu: 1",
    "twice": b"partitions: {a: {}}\n---\npartitions: {b: {}}\n",
    "a tag": b"partitions: !!python/object/apply:os.system [id]\n",
    "latin": b"account: K\xf6ln\npartitions: {a: {}}\n",
    "nul": b"\x00" * 9,
}
"""What stands in the cluster's file."""


@pytest.mark.parametrize("name", BYTES)
def test_what_is_no_file_of_a_cluster(cases: Judge, file: Path, name: str):
    file.write_bytes(BYTES[name])
    cases("cluster's file").judge(name, load_cluster, says=(str(file),))


@pytest.mark.parametrize("name", ["missing", "a folder", "not readable"])
def test_a_file_of_a_cluster_that_cannot_be_read(cases: Judge, file: Path, name: str, monkeypatch: pytest.MonkeyPatch):
    if name == "a folder":
        file.mkdir()
    if name == "not readable":
        file.touch()

        def refuses(*_: object, **__: object) -> str:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "read_text", refuses)
    cases("cluster's file").judge(name, load_cluster, says=(str(file),))


SHARES = {"train": 0, "calibration": 0.5, "evaluation": 0.5}
SPEC = {
    "code": "c",
    "job": "j",
    "corpus": {"kind": "files", "files": {"de": "de.txt"}, "shares": SHARES},
    "language": "de",
}
ENVIRONMENTS: list[tuple[str, dict[str, str | None]]] = [
    ("nothing", {}),
    ("locale C", {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0"}),
    ("a locale that is not installed", {"LC_ALL": "xx_YY.UTF-8"}),
    ("latin locale", {"LC_ALL": "de_DE.ISO-8859-1", "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}),
    ("no home", {"HOME": None}),
    ("a home that is not there", {"HOME": "/nowhere"}),
    ("a folder for temporary files that is not there", {"TMPDIR": "/nowhere"}),
    ("a time zone", {"TZ": "Pacific/Kiritimati"}),
    ("no path", {"PATH": ""}),
    ("a worker that is gone", {"POLYPRUNE_WORKER": "/nowhere/worker.sock"}),
    ("a worker that is a file", {"POLYPRUNE_WORKER": "/etc/passwd"}),
    ("a hash seed", {"PYTHONHASHSEED": "77"}),
    ("many threads", {"OMP_NUM_THREADS": "64"}),
    ("another engine", {"POLYPRUNE_ENGINE": '{"device": "cpu"}'}),
    ("Slurm's variables", {"SLURM_JOB_ID": "7", "CUDA_VISIBLE_DEVICES": ""}),
    ("optimised Python", {"PYTHONOPTIMIZE": "1"}),
]
"""What of a job's environment is otherwise; its result is right all the same."""

DROP_FROM_BOUNDING_SET, MAY_IGNORE_PERMISSIONS = 24, 1
"""PR_CAPBSET_DROP and CAP_DAC_OVERRIDE of Linux."""


def job(
    folder: Path, variables: dict[str, str | None], before: Callable[[], None] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """A stage as a rule runs it."""
    environment: dict[str, str | None] = {**os.environ, "PYTHONPATH": str(ROOT / "workflow_scripts"), **variables}
    words = ["--settings", json.dumps(SPEC), "--output", "out/de.parquet", "--log", "log", "--threads", "1"]
    return subprocess.run(
        [sys.executable, "-m", "polyprune", "collect_documents", *words],
        cwd=folder,
        env={name: value for name, value in environment.items() if value is not None},
        capture_output=True,
        timeout=120,
        preexec_fn=before,
    )


def test_results_do_not_depend_on_the_environment(cases: Judge, tmp_path: Path):
    judge, found = cases("environment"), set()
    for name, variables in part_of(ENVIRONMENTS, 3):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "de.txt").write_text("ein Satz über Öl\nnoch einer\nund ß\n", encoding="utf-8")

        def ran(folder: Path = folder, variables: dict[str, str | None] = variables) -> int:
            done = job(folder, variables)
            assert b"Traceback" not in done.stdout + done.stderr, done.stderr
            return done.returncode

        judge.judge(name, ran, 0, sure=True)
        found.add((folder / "out/de.parquet").read_bytes())
    assert len(found) == 1


def limited_file_size() -> None:
    """Of the process that is about to start: no file beyond 512 bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))


def kept_to_permissions() -> None:
    """Root is stopped by no permissions: what starts next has root's files, but may not write where nobody may.

    A job as another user could not even open an interpreter below a folder that only root enters.
    """
    if os.getuid() == 0 and ctypes.CDLL(None).prctl(DROP_FROM_BOUNDING_SET, MAY_IGNORE_PERMISSIONS, 0, 0, 0):
        raise PermissionError("this root may not give up a capability")


DISKS: dict[str, tuple[Callable[[Path], Any], Callable[[], None] | None, str | None]] = {
    "another file system": (lambda out: out.symlink_to(tempfile.mkdtemp(dir="/dev/shm")), None, None),
    "a limit to the size of files": (Path.mkdir, limited_file_size, "is larger than a file may be here"),
    "read-only results": (lambda out: out.mkdir(mode=0o555), kept_to_permissions, "cannot be written"),
}
"""How the folder of results is made, who writes, and what is said; None where the result is right."""


@pytest.mark.parametrize("name", DISKS)
def test_disks_end_in_a_result_or_a_sentence(cases: Judge, name: str):
    """What is there already stays as it is."""
    make, before, said = DISKS[name]
    with tempfile.TemporaryDirectory(dir="/tmp") as scratch:
        folder, out = Path(scratch), Path(scratch, "out")
        folder.chmod(0o777)
        (folder / "de.txt").write_text("".join(f"{number} ist eine Zahl\n" for number in range(400)), encoding="utf-8")
        make(out)
        if said is None:
            (out / "en.parquet").write_bytes(b"was there")

        def ran() -> int:
            done = job(folder, {}, before)
            assert b"Traceback" not in done.stdout + done.stderr, done.stderr
            assert said is None or said.encode() in done.stderr, done.stderr
            return done.returncode

        cases("disks").judge(name, ran, 0 if said is None else 1, sure=True)
        left = sorted(path.name for path in out.iterdir())
        assert left == (["de.parquet", "en.parquet"] if said is None else [])
        if out.is_symlink():
            shutil.rmtree(out.resolve())
