"""A cluster for each of pytest's processes, and one undisturbed run for all of them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from tests.checkout import copy_repository
from tests.slurm.cluster import ACCOUNT, Cluster
from tests.slurm.lab import HERE, PARTITIONS, STUDY, Workplace


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="slurm-", dir="/tmp") as folder:
        cluster = Cluster(Path(folder))
        yield cluster
        cluster.stop()


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A working copy in which the study has run on this machine, without a cluster."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "undisturbed"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            begun = folder.with_suffix(".begun")
            shutil.copy(HERE / STUDY, copy_repository(begun))
            command = ["snakemake", "--profile", "local", "--configfile", STUDY, "--cores", "2", "--", "fault"]
            run = subprocess.run([sys.executable, "-m", *command], cwd=begun, capture_output=True, text=True)
            assert run.returncode == 0, run.stdout + run.stderr
            begun.rename(folder)
    return folder


@pytest.fixture
def workplace(tmp_path: Path, cluster: Cluster, undisturbed: Path) -> Iterator[Workplace]:
    workplace = Workplace(tmp_path, cluster, undisturbed)
    yield workplace
    workplace.end()


@pytest.fixture(scope="session")
def everything(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster, undisturbed: Path) -> Iterator[Workplace]:
    """A working copy in which all of the study was run by jobs of the cluster."""
    workplace = Workplace(tmp_path_factory.mktemp("everything"), cluster, undisturbed)
    workplace.say_in_user_file(partitions=PARTITIONS, account=ACCOUNT, gpu_model="h100", constraint="fast")
    for made in ("results", "logs", ".snakemake"):
        shutil.rmtree(workplace.folder / made)
    workplace.start("--", "fault").succeed()
    yield workplace
    workplace.end()
