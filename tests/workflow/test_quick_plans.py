"""Plans are made more quickly, and are the same."""

from __future__ import annotations

import inspect
import logging
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake.common import get_function_params
from snakemake.jobs import Job
from snakemake.output_index import OutputIndex
from snakemake.persistence.file import FilePersistence
from snakemake.resources import Resource, Resources
from snakemake.scheduling.job_scheduler import JobScheduler
from snakemake.settings.enums import Quietness
from tests.helpers.checkout import ROOT, copy_repository
from tests.helpers.runs import replace
from tests.helpers.warm_snakemake import run_snakemake

from polyprune.workflow import quick_plans
from polyprune.workflow.quick_files import REPLACED


def dry_run(folder: Path, *flags: str) -> list[str]:
    """All that Snakemake says of a study's plan, but when and under which name.

    Sorted, as jobs come in any order, and files of reasons.
    """
    words = ["-n", *flags, "--configfile", "studies/quick.yaml", "--", "quick"]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    run = run_snakemake(words, folder, environment)
    assert run.returncode == 0, run.stderr
    passing = re.compile(r"\s*(Date|Workflow ID|Command|host|jobid):|\[\w{3} \w{3}|Building DAG", re.IGNORECASE)
    said = (line for line in run.stdout.splitlines() if not passing.match(line))
    return sorted(str(sorted(re.split("[:;,] ", line))) if "reason: " in line else line for line in said)


def test_plans_are_the_same_with_it_and_without(tmp_path: Path) -> None:
    folder = copy_repository(tmp_path)
    quick = dry_run(folder, "-p")
    replace(folder / "Snakefile", "\nquicken(workflow.rules)\n", "\n")
    assert sum("python -m polyprune" in line for line in quick) > 40
    assert dry_run(folder, "-p") == quick


def test_what_is_left_of_a_study_is_the_same_with_it_and_without(tmp_path: Path) -> None:
    """Of one that was finished, and of which a file is gone, another is not the one, and a setting has changed."""
    folder = copy_repository(tmp_path)
    words = ["--finish", "--configfile", "studies/quick.yaml", "--", "quick"]
    command = [sys.executable, str(ROOT / "benchmarks/planning.py"), *words]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    assert any("Nothing to be done" in line for line in dry_run(folder))
    next(folder.glob("results/*/wanda/*/*/*/mask.safetensors")).unlink()
    os.utime(next(folder.glob("results/*/dense/perplexity.parquet")))
    replace(folder / "config.yaml", "damping: 0.01", "damping: 0.02")
    quick = dry_run(folder, "-p")
    replace(folder / "Snakefile", "\nquicken(workflow.rules)\n", "\n")
    assert dry_run(folder, "-p") == quick
    reasons = "\n".join(quick)
    assert all(reason in reasons for reason in ("Missing output files", "Forced execution", "Params have changed"))


def test_a_quiet_plan_says_the_same_with_it_and_without(tmp_path: Path) -> None:
    folder = copy_repository(tmp_path)
    little = dry_run(folder, "--profile", "local")
    replace(folder / "Snakefile", "\nonly_plan(logger, workflow.output_settings)\n", "\n")
    assert any(line.startswith("In all, ") for line in little) and dry_run(folder, "--profile", "local") == little


@pytest.fixture
def put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is changed of Snakemake, put back afterwards."""
    import_module("snakemake.api")  # before snakemake.dag, which by itself imports in a circle
    from snakemake.dag import DAG

    changed = [
        (OutputIndex, "match_producers"),
        (DAG, "check_directory_outputs"),
        (Job, "shellcmd"),
        (Job, "log_info"),
        (JobScheduler, "_free_resources"),
        (FilePersistence, "_io_read"),
        *(entry[:2] for entry in REPLACED),
    ]
    for owner, name in changed:
        monkeypatch.setattr(owner, name, vars(owner).get(name) or getattr(owner, name))
    monkeypatch.setattr(Resource.evaluate, "_overwrite_params", None, raising=False)


@pytest.mark.usefixtures("put_back")
def test_parameters_of_functions_are_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Asked:
        def spec(self, wildcards: object, output: object) -> object:
            return wildcards, output

    def gpu(wildcards: object, attempt: int) -> int:
        return attempt if wildcards else 0

    resources = Resources({"gpu": Resource("gpu", gpu), "threads": Resource("threads", 1)})
    rule = SimpleNamespace(input=["a.txt"], params=["text", Asked().spec], resources=resources)
    quick_plans.quicken([rule])
    monkeypatch.setattr(inspect, "signature", lambda function: pytest.fail(f"asked again for {function}"))
    assert list(get_function_params(rule.params[1])) == ["wildcards", "output"]
    assert list(get_function_params(gpu)) == ["wildcards", "attempt"]
    assert list(get_function_params(resources["gpu"].evaluate)) == ["args", "kwargs"]


@pytest.mark.usefixtures("put_back")
@pytest.mark.parametrize(
    ("settings", "little"),
    [
        ({}, True),
        ({"log_handler_settings": {"ledger": None}}, True),
        ({"log_handler_settings": {"theirs": None}}, False),
        ({"quiet": {Quietness.HOST}}, False),
        ({"quiet": None}, False),
        ({"dryrun": False}, False),
    ],
)
def test_of_a_planned_job_little_is_said_where_nobody_reads_more(settings: dict[str, Any], little: bool) -> None:
    theirs = Job.log_info, JobScheduler._free_resources
    usual = {"dryrun": True, "quiet": {Quietness.RULES}, "log_handler_settings": {}}
    quick_plans.only_plan(logging.getLogger("plans"), SimpleNamespace(**usual | settings))
    assert (Job.log_info is not theirs[0]) == little
    assert (JobScheduler._free_resources is not theirs[1]) == settings.get("dryrun", True)


@pytest.mark.usefixtures("put_back")
def test_the_command_of_a_job_is_formatted_again_when_an_attempt_changes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    formatted: list[str] = []

    def command(job: SimpleNamespace) -> str:
        formatted.append(job.name)
        return f"{job.name} with {job.resources}"

    def job(name: str) -> SimpleNamespace:
        return SimpleNamespace(name=name, input=[], output=[], params=[], resources=[10], log=[])

    monkeypatch.setattr(quick_plans, "_COMMAND", command)
    quick_plans.quicken([])
    first, second = job("a"), job("b")
    shellcmd = vars(Job)["shellcmd"].fget
    assert [shellcmd(first), shellcmd(first), shellcmd(second)] == ["a with [10]", "a with [10]", "b with [10]"]
    second.resources = [20]
    assert shellcmd(second) == "b with [20]" and formatted == ["a", "b", "b"]


class Made:
    """An output of a rule, as Snakemake's index asks for it."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern

    def constant_prefix(self) -> str:
        return self.pattern.split("{")[0]

    def constant_suffix(self) -> str:
        return self.pattern.rsplit("}", 1)[-1]


class Maker:
    def __init__(self, *patterns: str) -> None:
        self.made = [Made(pattern) for pattern in patterns]

    def products(self) -> list[Made]:
        return self.made

    def is_producer(self, file: str) -> bool:
        plain = (re.sub(r"{\w+}", ".+", made.pattern) for made in self.made)
        return any(re.fullmatch(pattern, file) for pattern in plain)


def test_the_rules_that_make_a_file_are_those_that_snakemake_finds() -> None:
    rules: Any = [
        Maker("results/{model}/model.json"),
        Maker("results/{model}/{method}/mask.safetensors", "results/{model}/{method}/export/config.json"),
        Maker("results/{model}/{corpus}/de.h5", "results/{model}/{corpus}/{language}.h5"),
        Maker("results/demo/table1.parquet", "results/demo/table1.md"),
        Maker("results/demo/table{n}.md"),
        Maker("{anything}"),
    ]
    index = OutputIndex(rules)
    files = [
        *("results/a/model.json", "results/a/b/mask.safetensors", "results/a/b/export/config.json", "mask.safetensors"),
        *("results/a/c/de.h5", "results/a/c/sw.h5", "results/demo/table1.md", "results/demo/table2.md", "de.h5"),
        *("results/demo/table1.parquet", "elsewhere/demo/table1.parquet", "x", "results/", "results/a/model.json/"),
    ]
    for file in files:
        assert quick_plans._producers(index, file) == OutputIndex.match_producers(index, file), file
    assert len(quick_plans._producers(index, "results/demo/table1.md")) == 3


@pytest.mark.parametrize(
    ("files", "asked"),
    [
        (["results/a/b", "results/a/c", "results/a.md", "/elsewhere/x"], False),
        (["results/a", "results/a/b/c"], True),
        (["results/a/", "results/ab/c"], False),
        (["/out/a/", "/out/a/b"], True),
    ],
)
def test_snakemake_is_asked_where_an_output_may_lie_in_another(files: list[str], asked: bool) -> None:
    heard: list[Any] = []
    dag = SimpleNamespace(jobs=[SimpleNamespace(output=[file]) for file in files])
    quick_plans._where_one_may_lie_in_another(heard.append)(dag)
    assert heard == [dag] * asked
