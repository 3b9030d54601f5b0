"""Where jobs find their Python: real runs, with stand-ins for apptainer, module and conda that record their calls."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
from tests.helpers.cluster_files import FULL, own_file, snakemake

from polyprune.cluster.site import apptainer_arguments

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("home")
COLLECTED = "results/corpora/small/de.parquet"


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of commands that wins over the machine's, and their record."""
    folder = tmp_path / "commands"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def command(folder: Path, name: str, does: str) -> None:
    file = folder / name
    file.write_text(f'#!/bin/bash\necho "{name} $*" >> {folder}/record\n{does}\n')
    file.chmod(0o755)


def collect(folder: Path, profile: str, *words: str) -> str:
    """Run a small job anew."""
    (folder / COLLECTED).unlink(missing_ok=True)
    small = folder / "small.yaml"
    small.write_text(
        "corpora: {small: {kind: demo, languages: [de], documents: {train: 3, calibration: 3, evaluation: 3}}}"
    )
    run = snakemake(folder, "--profile", profile, "--configfile", str(small), *words, "--", COLLECTED)
    assert run.returncode == 0 and (folder / COLLECTED).exists(), run.stdout + run.stderr
    return run.stdout + run.stderr


def test_modules_are_loaded_before_every_job(home: Path, checkout: Path, commands: Path):
    """A stand-in as a command; the real one is a function of the shell, which jobs inherit."""
    own_file(home, FULL)
    command(commands, "module", "")
    collect(checkout, "local", "--cores", "1")
    assert (commands / "record").read_text() == "module load gcc/13 cuda/12.6\n"


INSIDE = f"""
[ -z "$POLYPRUNE_WORKER" ] || echo "this would be done by a worker outside" >&2
[ -z "$POLYPRUNE_WORKER" ] && exec {sys.executable} "$@"
"""
"""A Python that is not the one of Snakemake's environment."""
APPTAINER = """
if [ "$1" = --version ]; then echo apptainer version 1.3.4; exit; fi
while [ "$1" != sh ] && [ "$1" != bash ]; do shift; done
export HOME="$PWD"
PATH="{python}:/usr/bin:/bin" exec "$@"
"""


def test_an_image_runs_every_job_with_its_own_python(
    home: Path, checkout: Path, commands: Path, monkeypatch: pytest.MonkeyPatch
):
    own_file(home, "partitions: {cpu: {}}\nimage: /images/env.sif\n")
    monkeypatch.setenv("HF_HOME", str(home / "hub"))
    inside = home / "inside"
    inside.mkdir()
    command(inside, "python", INSIDE)
    command(commands, "apptainer", APPTAINER.format(python=inside))
    image = home / "env.sif"
    image.touch()
    own_file(home, f"partitions: {{cpu: {{}}}}\nimage: {image}\n")
    collect(checkout, "slurm", "--executor", "local", "--cores", "1")
    (call,) = (line for line in (commands / "record").read_text().splitlines() if " exec " in line)
    hub = home / "hub"
    assert hub.is_dir()
    assert f" --nv --bind {hub} --env HF_HOME={hub} " in call and f" {image} " in call
    assert (inside / "record").read_text().startswith("python -m polyprune collect_documents ")
    own_file(home, "partitions: {cpu: {}}\n")
    for profile in ("slurm", "local"):
        plan = snakemake(checkout, "--profile", profile, "--configfile", "small.yaml", "-n", "--", COLLECTED)
        assert "Nothing to be done" in plan.stdout + plan.stderr, "a result does not depend on where it was made"


def test_an_image_sees_a_hub_cache_that_lies_elsewhere(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HOME", str(home / "hub"))
    monkeypatch.setenv("HF_HUB_CACHE", str(home / "big"))
    assert apptainer_arguments() == f"--nv --bind {home}/hub --bind {home}/big --env HF_HOME={home}/hub"
    assert (home / "hub").is_dir() and (home / "big").is_dir()


def test_no_image_no_container(checkout: Path, commands: Path):
    command(commands, "apptainer", APPTAINER)
    collect(checkout, "slurm", "--executor", "local", "--cores", "1")
    assert not (commands / "record").exists()


CONDA = """
case "$*" in
  --version) echo conda 24.11.3;;
  "info --json") echo '{{"conda_prefix": "{home}/conda", "platform": "linux-64"}}';;
  config*) echo '{{"get": {{"channel_priority": "strict"}}}}';;
  *create*) while [ $# -gt 1 ]; do
      case "$1" in
        --file*) cp "$2" {home}/given.yaml;;
        --prefix) mkdir -p "$2/conda-meta"; touch "$2/conda-meta/history";;
      esac; shift; done;;
esac
"""


INSTALLED = """
if [ "$1" = - ] || [ "$1" = -c ]; then exit 1; fi
if [ "$2" = pip ]; then exit; fi
"""
"""A Python whose torch is built for CPUs, and whose pip has nothing to do."""


def test_conda_makes_the_environment_of_envs_with_the_lock_and_jobs_find_our_packages(
    home: Path, checkout: Path, commands: Path
):
    activate = home / "conda/bin/activate"
    activate.parent.mkdir(parents=True)
    inside = home / "inside"
    inside.mkdir()
    command(inside, "python", INSTALLED + INSIDE)
    activate.write_text(f'export PATH="{inside}:$PATH"\n')
    activate.chmod(0o755)
    command(commands, "conda", CONDA.format(home=home))
    collect(checkout, "local", "--cores", "1", "--sdm", "conda")
    calls = (inside / "record").read_text().splitlines()
    parts = [call.split()[-1] for call in calls if " -m pip install " in call]
    assert parts == [f"{checkout.resolve()}/envs/lock/{part}.txt" for part in ("torch", "users")]
    assert calls[-1].startswith("python -m polyprune collect_documents ")
    assert (home / "given.yaml").read_text() == (ROOT / "envs/polyprune.yaml").read_text()


def test_every_rule_that_runs_something_has_the_conda_environment():
    for file in (ROOT / "rules").glob("*.smk"):
        rules = re.split(r"^ *rule\b", file.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
        for rule in rules:
            assert '"../envs/polyprune.yaml"' in rule or "shell:" not in rule, rule
