"""What was submitted is what runs: jobs compare themselves with the plan that they are of.

A job may wait for days. Meanwhile a setting or the code may be edited: on a cluster each job reads both anew, here it
reads the code. It would make something else than was planned, and Snakemake would record it as planned. So a run writes
down, before its first job, the digests of all specs of its plan and of the package; each job looks itself up there. So
do jobs that dump several cells: of which, the run has decided.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from polyprune.artifacts.atomic import atomic_write
from polyprune.errors import UserError
from polyprune.grammar.paths import Cell
from polyprune.provenance import PACKAGE, canonical_json, code_digest, digest, package_digest

SUBMITTED = "POLYPRUNE_SUBMITTED"
"""Names the plan's file in the environment, which Slurm hands on to jobs."""


def write_plan(
    specs: Iterable[str], codes: Mapping[str, Sequence[str]], bundles: Mapping[str, list[list[Cell]]], folder: Path
) -> None:
    """Write down the specs of a plan, and name the file in this process's environment.

    `codes` has what each code digest in the specs was taken of: the stage and the plugins that it takes by name;
    `bundles` the cells that are dumped together, by what they are dumped on.
    """
    plan = {
        "specs": sorted({digest(spec) for spec in specs}),
        "codes": codes,
        "package": package_digest(),
        "bundles": {data: [[asdict(cell) for cell in bundle] for bundle in found] for data, found in bundles.items()},
    }
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
    plan = _plan()
    if plan is None:
        return
    code = json.loads(spec)["code"]
    if code not in plan["codes"] or (package_digest() != plan["package"] and code_digest(*plan["codes"][code]) != code):
        raise _refusal(f"the code below {PACKAGE}, of what this job runs,")
    if digest(spec) not in plan["specs"]:
        raise _refusal("the configuration, of what decides this job's result,")


def planned_bundles() -> dict[str, list[list[Cell]]]:
    """The cells that the run of this job dumps together, by what they are dumped on; none without a plan."""
    bundles = (_plan() or {}).get("bundles", {})  # an earlier version's plan has none, and its jobs are refused
    return {data: [[Cell(**cell) for cell in bundle] for bundle in found] for data, found in bundles.items()}


def _plan() -> dict[str, Any] | None:
    """What was written down; None for a job without a plan. Raises `UserError` if it cannot be read."""
    if SUBMITTED not in os.environ:
        return None
    path = Path(os.environ[SUBMITTED])
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}, in which the run that this job is of wrote down what it planned, cannot be read ({error}), so it "
            "cannot be told whether this job is what was planned: end the run, and start Snakemake anew"
        ) from error


def _refusal(what: str) -> UserError:
    return UserError(
        f"{what} was edited after this run began: the job would make something else than was planned, so nothing is "
        "made. Take the edit back; or end the run and start Snakemake anew, which plans with the edit"
    )
