"""The script of an array: each task runs its own command, as Slurm's shell would, and ends with its status."""

from __future__ import annotations

import subprocess

import pytest
import snakemake.cli  # noqa: F401  (before its plugins, which import each other)

from polyprune.cluster.arrays import script


@pytest.mark.parametrize(("task", "said", "status"), [("1", "one's own\n", 0), ("2", "two; three\n", 3), ("3", "", 0)])
def test_a_task_runs_the_command_of_its_number(task: str, said: str, status: int):
    """Also where commands hold quotes and semicolons; a number that there is not runs none."""
    text = script(['echo "one\'s own"', "echo 'two; three' && exit 3"])
    run = subprocess.run(["sh"], input=text, env={"SLURM_ARRAY_TASK_ID": task}, capture_output=True, text=True)
    assert (run.stdout, run.returncode) == (said, status)
