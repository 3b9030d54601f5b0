"""What was submitted is what runs: jobs compare themselves with the plan that they are of.

A job may wait for days. Meanwhile a setting or the code may be edited: on a cluster each job reads both anew, here it
reads the code. It would make something else than was planned, and Snakemake would record it as planned. So a run writes
down, before its first job, the digests of all specs of its plan and of the package; each job looks itself up there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from polyprune.artifacts.atomic import atomic_write
from polyprune.errors import UserError
from polyprune.provenance import PACKAGE, canonical_json, code_digest, digest, package_digest

SUBMITTED = "POLYPRUNE_SUBMITTED"
"""Names the plan's file in the environment, which Slurm hands on to jobs."""


def write_plan(specs: Iterable[str], codes: Mapping[str, Sequence[str]], folder: Path) -> None:
    """Write down the specs of a plan, and name the file in this process's environment.

    `codes` has what each code digest in the specs was taken of: the stage and the plugins that it takes by name.
    """
    plan = {"specs": sorted({digest(spec) for spec in specs}), "codes": codes, "package": package_digest()}
    text = canonical_json(plan)
    path = folder.resolve() / f"{digest(text)}.json"
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8")
    os.environ[SUBMITTED] = str(path)


def require_as_planned(spec: str) -> None:
    """Do nothing where a job is run by itself, without a plan.

    Raises:
        UserError: the plan does not have this spec, or the stage's code is another than the spec says.
    """
    if SUBMITTED not in os.environ:
        return
    path = Path(os.environ[SUBMITTED])
    try:
        plan = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}, in which the run that this job is of wrote down what it planned, cannot be read ({error}), so it "
            "cannot be told whether this job is what was planned: end the run, and start Snakemake anew"
        ) from error
    code = json.loads(spec)["code"]
    if code not in plan["codes"] or (package_digest() != plan["package"] and code_digest(*plan["codes"][code]) != code):
        raise _refusal(f"the code below {PACKAGE}, of what this job runs,")
    if digest(spec) not in plan["specs"]:
        raise _refusal("the configuration, of what decides this job's result,")


def _refusal(what: str) -> UserError:
    return UserError(
        f"{what} was edited after this run began: the job would make something else than was planned, so nothing is "
        "made. Take the edit back; or end the run and start Snakemake anew, which plans with the edit"
    )
