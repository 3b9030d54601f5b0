"""Snakemake's plans of many configurations in one process: once it is imported, a plan takes about half a second.

    python -m tests.helpers.planner < requests > jobs

in a copy of the repository without results. A line of input are targets and a configuration as JSON, which takes the
place of all files of the repository, and the user's own files that it names are put in their places; a line of output
all jobs that make the targets. No command line names them, so each cell is dumped alone,
as it is recorded however it was dumped.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.helpers.checkout import ROOT
from tests.helpers.outside import put_outside_things


@dataclass(frozen=True)
class PlannedJob:
    """What decides whether it is made again, apart from its inputs' own fate."""

    stage: str
    spec: str
    inputs: frozenset[str]
    outputs: frozenset[str]
    command: str = ""


Request = tuple[Sequence[str], Mapping[str, Any]]
"""Targets, and a configuration."""


def plans(folder: Path, requests: Iterable[Request]) -> list[list[PlannedJob]]:
    """The jobs that make the targets of each request; `folder`, a copy of the repository, is left changed."""
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{folder / 'workflow_scripts'}"}
    command = [sys.executable, "-m", "tests.helpers.planner"]
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    run = subprocess.run(command, cwd=folder, env=environment, input=lines, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-4000:]
    return [[_job(*job) for job in json.loads(line)] for line in run.stdout.splitlines()]


def _job(command: str, inputs: list[str], outputs: list[str]) -> PlannedJob:
    stage, spec = _stage_and_spec(command)
    return PlannedJob(stage, spec, frozenset(inputs), frozenset(outputs), command)


@cache
def _stage_and_spec(command: str) -> tuple[str, str]:
    """Most commands are the same in many plans."""
    words = shlex.split(command)
    return words[words.index("polyprune") + 1], words[words.index("--settings") + 1]


@cache
def entries(spec: str) -> Any:
    """What a spec says; for readers, who leave it as it is."""
    return json.loads(spec)


Told = list[tuple[str, list[str], list[str]]]
"""Shell command, inputs and outputs of jobs; targets without a command aside."""


def _tell_instead_of_scheduling(told: Told) -> None:
    """Have Snakemake say of planned jobs what is asked here: going through them takes a quarter of a plan."""
    from snakemake.scheduling.job_scheduler import JobScheduler

    def schedule(self: Any) -> bool:
        jobs = (job for job in self.workflow.dag.needrun_jobs() if job.shellcmd)
        told.extend((job.shellcmd, [*map(str, job.input)], [*map(str, job.output)]) for job in jobs)
        return True

    JobScheduler.schedule = schedule  # pyright: ignore[reportAttributeAccessIssue]


def _parse_once() -> None:
    """Have Snakemake keep what it makes of the text of its files, which is the same in all plans."""
    from snakemake.api import Workflow

    reader: Any = sys.modules[Workflow.__module__]
    known: dict[tuple[str, int], tuple[str, int]] = {}
    parse = reader.parse

    def parsed(source: Any, workflow: Any, *, rulecount: int, linemap: Any) -> tuple[str, int]:
        key = source.get_path_or_uri(secret_free=True), rulecount
        if key not in known:
            known[key] = parse(source, workflow, rulecount=rulecount, linemap=linemap)
        return known[key]

    reader.parse = parsed


def _planned(targets: Sequence[str]) -> Told:
    from snakemake.api import SnakemakeApi
    from snakemake.settings.types import (
        ConfigSettings,
        DAGSettings,
        OutputSettings,
        Quietness,
        ResourceSettings,
        StorageSettings,
    )

    told: Told = []
    _tell_instead_of_scheduling(told)
    with SnakemakeApi(OutputSettings(dryrun=True, quiet={Quietness.ALL})) as snakemake:
        workflow = snakemake.workflow(
            ResourceSettings(cores=1), ConfigSettings(), StorageSettings(), snakefile=Path("Snakefile")
        )
        workflow.dag(DAGSettings(targets=set(targets))).execute_workflow(executor="dryrun")
    return told


def _serve() -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what Snakemake prints is no answer
    Path("studies/demo.yaml").write_text("{}\n", encoding="utf-8")
    _parse_once()
    for line in sys.stdin:
        targets, config = json.loads(line)
        Path("config.yaml").write_text(json.dumps(config), encoding="utf-8")
        put_outside_things(config)
        answers.write(json.dumps(_planned(targets)) + "\n")
        answers.flush()


if __name__ == "__main__":
    _serve()
