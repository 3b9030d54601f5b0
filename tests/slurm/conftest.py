"""A cluster for each of pytest's processes, and one undisturbed run for all of them."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.helpers.checkout import copy_repository
from tests.helpers.once import made_once
from tests.slurm.cluster import Cluster
from tests.slurm.lab import HERE, MASK, Workplace


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="slurm-", dir="/tmp") as folder:
        cluster = Cluster(Path(folder))
        yield cluster
        cluster.stop()


def add_study(config: Path) -> None:
    settings, more = (yaml.safe_load(file.read_text(encoding="utf-8")) for file in (config, HERE / "study.yaml"))
    for section, entries in more.items():
        settings[section] |= entries
    config.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")


def run_undisturbed(folder: Path) -> None:
    add_study(copy_repository(folder) / "config.yaml")
    command = ["snakemake", "--profile", "local", "--cores", "2", "--", "fault"]
    run = subprocess.run([sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working copy in which the study has run on this machine, without a cluster."""
    return made_once(tmp_path_factory, "undisturbed", run_undisturbed)


@pytest.fixture
def workplace(tmp_path: Path, cluster: Cluster, undisturbed: Path) -> Iterator[Workplace]:
    workplace = Workplace(tmp_path, cluster, undisturbed)
    yield workplace
    workplace.end()


@pytest.fixture
def disturbed(workplace: Workplace) -> Workplace:
    """A working copy with a mask to make again; in its midst something happens."""
    (workplace.folder / MASK).unlink()
    return workplace
