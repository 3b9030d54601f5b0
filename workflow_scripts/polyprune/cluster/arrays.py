"""Slurm's job arrays: jobs that ask for the same are submitted as one, and stay jobs of their own.

The task of a number does what a line of the array's script says, and its work stands at that place of the comment. (The
plugin's own arrays start every task with the first one's command, which finds nothing to do once that one has ended.)
"""

from __future__ import annotations

import shlex
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import snakemake_executor_plugin_slurm as plugin
from snakemake.exceptions import WorkflowError
from snakemake_executor_plugin_slurm.submit_string import get_submit_command
from snakemake_executor_plugin_slurm.utils import get_max_array_size, set_gres_string
from snakemake_executor_plugin_slurm.validation import validate_or_get_slurm_job_id
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

from polyprune.cluster.slurm import BETWEEN_WORKS
from polyprune.workflow.bundles import work_of

_MANY = 1_000
"""An array's size that the plugin takes for Slurm's own: where there may be no arrays, it would refuse to begin."""
GATHERING = 1.0
"""Seconds in which jobs come together: Snakemake finds out about them one by one."""


class ArraySubmissions(plugin.Executor):
    """The plugin's executor, which submits jobs in arrays."""

    logger: Any
    workflow: Any

    def __post_init__(self, test_mode: bool = False) -> None:
        plugin.get_max_array_size = lambda: _MANY
        plugin.query_job_status_squeue = _states
        super().__post_init__(test_mode)
        self._longest = min(get_max_array_size() - 1, self.max_array_size)  # Slurm counts from 0
        self._rules, self.array_jobs = self.array_jobs if self._longest > 1 else set(), set()
        self._gathered: list[Any] = []
        self._gathering = threading.Lock()

    def may_go(self, job: Any) -> bool:  # noqa: ARG002
        """Asked right before a job is submitted; who says no has reported why."""
        return True

    def run_jobs(self, jobs: Sequence[Any]) -> None:
        """Submit jobs: those of rules that go in arrays after a moment, in which more of them may come."""
        gathered = [job for job in jobs if not job.is_group() and {"all", job.rule.name} & self._rules]
        super().run_jobs([job for job in jobs if job not in gathered])
        for job in gathered:
            self.run_job_pre(job)
        with self._gathering:
            first = not self._gathered
            self._gathered += gathered
        if gathered and first:
            self._job_submission_executor.submit(self._submit_gathered)

    def _submit_gathered(self) -> None:
        time.sleep(GATHERING)
        with self._gathering:
            jobs, self._gathered = self._gathered, []
        for part in self._alike([job for job in jobs if self.may_go(job)]):
            try:
                self._submit_together(part)
            except Exception as error:  # in a thread that nobody waits for
                for job in part:
                    self._report_job_error_threadsafe(SubmittedJobInfo(job), f"Submission of an array failed: {error}")

    def _alike(self, jobs: Sequence[Any]) -> Iterator[list[Any]]:
        """Jobs that ask sbatch for the same, as many as one array may have."""
        found: dict[str, list[Any]] = {}
        for job in jobs:
            try:
                request = self._request(job, "", Path())
            except WorkflowError:
                request = str(job.jobid)  # alone, and told why when it is submitted
            found.setdefault(f"{job.rule.name} {request}", []).append(job)
        for same in found.values():
            yield from (same[start : start + self._longest] for start in range(0, len(same), self._longest))

    def _submit_together(self, jobs: Sequence[Any]) -> None:
        """An array, or a job alone. Of an array that Slurm refuses each by itself: there may be room for some.

        Each then also says itself what is wrong with it.
        """
        number = self._sbatch(jobs) if len(jobs) > 1 else None
        if number is None:
            for job in jobs:
                self.run_job(job)
            return
        logs = self._logs(jobs[0])
        listed = ", ".join(str(job.jobid) for job in jobs)
        self.logger.info(f"Jobs {listed} have been submitted as SLURM array {number} (logs: {logs}/{number}_*.log).")
        for task, job in enumerate(jobs, 1):
            name = f"{number}_{task}"
            info = SubmittedJobInfo(job, external_jobid=name, aux={"slurm_logfile": logs / f"{name}.log"})
            self._report_job_submission_threadsafe(info)

    def _sbatch(self, jobs: Sequence[Any]) -> str | None:
        """The number of an array of jobs, whose tasks are numbered from 1; None if Slurm refuses it."""
        logs = self._logs(jobs[0])
        logs.mkdir(parents=True, exist_ok=True)
        comment = BETWEEN_WORKS.join(work_of(job.rule.name, [*job.wildcards]) for job in jobs)
        call = f"{self._request(jobs[0], comment, logs / '%A_%a.log')} --array=1-{len(jobs)} /dev/stdin"
        done = subprocess.run(
            shlex.split(call), input=script([*map(self.format_job_exec, jobs)]), capture_output=True, text=True
        )
        if done.returncode:
            self.logger.debug(f"Slurm refuses an array of {len(jobs)} jobs: {done.stderr.strip()}")
            return None
        return validate_or_get_slurm_job_id(done.stdout.strip().split(";")[0], done.stdout)

    def _logs(self, job: Any) -> Path:
        return self.slurm_logdir / f"rule_{job.rule.name}"

    def _request(self, job: Any, comment: str, log: Path) -> str:
        """The call of sbatch for a job, but for what is to run."""
        params = {
            "run_uuid": self.run_uuid,
            "slurm_logfile": log,
            "comment_str": comment,
            "account": next(self.get_account_arg(job)),
            "partition": self.get_partition_arg(job),
            "workdir": self.workflow.workdir_init,
        }
        settings = self.workflow.executor_settings
        call = get_submit_command(job, params, settings=settings, failed_nodes=self._failed_nodes)
        return call + set_gres_string(job)


def script(commands: Sequence[str]) -> str:
    """What each task of an array runs; tasks are numbered from 1."""
    tasks = [f"{number})\n{command}\n;;" for number, command in enumerate(commands, 1)]
    return "\n".join(["#!/bin/sh", "case $SLURM_ARRAY_TASK_ID in", *tasks, "esac", ""])


def _states(run: str) -> str:
    """The plugin's question about the jobs of a run, but with a line for each task of an array that is not begun."""
    return f"squeue --array '--format=%i|%T' --states=all --noheader --name={run}"
