"""How jobs are submitted, asked about and cancelled: Snakemake's Slurm plugin, but for what it leaves to chance.

It asks about jobs every three minutes, though Slurm may forget finished ones after one, waits for a job that Slurm has
forgotten, and forgets jobs itself where Slurm does not answer for some minutes: each would hang the run. It sends a job
that fits into no partition to the default one, takes a full queue for a failure, says several times that it does not
know the account, sleeps on after Ctrl-C, and may overlook jobs that it is submitting or asking about at that moment. Of
jobs in arrays it judges all by the first one (`arrays.py`).

Used when Snakemake runs with that plugin only, which is then imported already.
"""

from __future__ import annotations

import asyncio
import re
import shlex
import subprocess
import threading
import time
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_slurm.job_status_query import get_min_job_age
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

from polyprune.cluster.arrays import ArraySubmissions
from polyprune.cluster.slurm import NOT_SUBMITTED, REFUSED, written

LONGEST_PAUSE = 180.0
"""Seconds between two questions about jobs, at most, where Slurm remembers finished ones for long enough."""
_STEP = 0.5
_MEMORY_OF_SLURM = 300
"""Seconds: Slurm's own default of MinJobAge, taken where it cannot be asked."""
WAIT_FOR_ROOM = 30.0
_NO_ROOM = re.compile(
    r"\w*(Max|Grp)\w*Submit\w*|queue full|temporarily unable|[Rr]esource temporarily unavailable|"
    r"Unable to contact slurm controller|Socket timed out|Connection refused|Transport endpoint"
)
"""Of sbatch's refusals those that pass: limits of how many jobs may be queued, and a controller that is away."""


class Submissions(ArraySubmissions):
    """The plugin's executor for a run of ours."""

    _longest_pause = LONGEST_PAUSE
    """Until `__post_init__`, before which the thread that asks has begun."""

    def __post_init__(self, test_mode: bool = False) -> None:
        age = get_min_job_age() or _MEMORY_OF_SLURM
        asked = self.workflow.executor_settings
        # The plugin turns from squeue to sacct, which may have no accounts to look at, if the age is below three times
        # this.
        asked.init_seconds_before_status_checks = max(1, min(asked.init_seconds_before_status_checks, age // 3))
        self._longest_pause = age / 2
        self._ended: set[str] = set()
        self._before: dict[Any, list[int | None]] = {}
        self._waiting_said, self._answers = False, True
        super().__post_init__(test_mode)

    async def sleep(self) -> None:
        """Until the next question about jobs, or until the run is over."""
        pause = min(self.next_seconds_between_status_checks or LONGEST_PAUSE, self._longest_pause, LONGEST_PAUSE)
        end = time.monotonic() + pause
        while self.wait and time.monotonic() < end:
            await asyncio.sleep(min(_STEP, pause))

    def may_go(self, job: Any) -> bool:
        """Whether some partition has what a job needs."""
        chosen = job.resources.get("slurm_partition")
        if not chosen and self._partitions and all(each.score_job_fit(job) is None for each in self._partitions):
            needs = {name: job.resources.get(name) for name in ("mem_mb", "runtime", "gpu", "gpu_model", "constraint")}
            listed = ", ".join(f"{name} {value}" for name, value in {"threads": job.threads, **needs}.items() if value)
            file = self.workflow.executor_settings.partition_config
            what = f"{NOT_SUBMITTED}no partition in {file} allows what attempt {job.attempt} needs: {listed}. "
            self._report_job_error_threadsafe(SubmittedJobInfo(job), what)
            return False
        self._before[job] = [written(Path(file)) for file in job.output]
        return True

    def run_job(self, job: Any) -> None:
        """Submit a job, unless no partition has what it needs."""
        if self.may_go(job):
            super().run_job(job)

    def _report_job_error_threadsafe(self, job_info: SubmittedJobInfo, msg: str) -> None:
        """Where Slurm has no room for a job now, submit it again later; its attempts are for other failures."""
        refusal = _NO_ROOM.search(msg) if REFUSED in msg else None
        if refusal is None:
            super()._report_job_error_threadsafe(job_info, msg)
            return
        if not self._waiting_said:
            self._waiting_said = True
            self.logger.warning(
                f"Slurm takes no more jobs for now ({refusal[0]}): they are submitted again every {WAIT_FOR_ROOM:g} s"
            )
        again = threading.Timer(WAIT_FOR_ROOM, self._submit_again, [job_info.job])
        again.daemon = True
        again.start()

    def _submit_again(self, job: Any) -> None:
        with suppress(RuntimeError):  # the run has ended meanwhile, and nothing is submitted any more
            self._job_submission_executor.submit(self.run_job, job)

    async def check_active_jobs(self, active_jobs: list[SubmittedJobInfo]) -> AsyncGenerator[SubmittedJobInfo, None]:
        """As the plugin does; and of those that it would go on waiting for, end what Slurm has forgotten.

        A job counts as active until it has been reported, also if nobody answered.
        """
        async for _ in super().check_active_jobs(active_jobs):
            pass
        still = [job for job in active_jobs if job.external_jobid not in self._ended]
        known = await asyncio.to_thread(self._known) if still else set()
        for job in still:
            if known is None or job.external_jobid in known:
                yield job
            else:
                self._judge_by_output(job)

    def _known(self) -> set[str] | None:
        """Numbers of this run's jobs that Slurm knows, finished or not; None if it does not answer."""
        done = _slurm("squeue", "--noheader", "--states=all", "--array", "--format=%i", f"--name={self.run_uuid}")
        if done.returncode and self._answers:
            self.logger.warning(f"Slurm does not answer, its jobs are waited for: {done.stderr.strip()}")
        self._answers = not done.returncode
        return set(done.stdout.split()) if self._answers else None

    def _judge_by_output(self, job_info: SubmittedJobInfo) -> None:
        """Files of ours appear whole or not at all; if none is missing that the job should have made, it has."""
        files = [Path(file) for file in job_info.job.output]
        before = self._before.get(job_info.job, [None] * len(files))
        if any(time_ is not None and written(file) == time_ for file, time_ in zip(files, before, strict=True)):
            number = job_info.external_jobid
            self.report_job_error(job_info, f"Slurm knows job {number} no more, and it has made nothing. ")
        else:
            self.report_job_success(job_info)

    def report_job_success(self, job_info: SubmittedJobInfo) -> None:
        self._ended.add(str(job_info.external_jobid))
        super().report_job_success(job_info)

    def report_job_error(self, job_info: SubmittedJobInfo, msg: Any = None, **kwargs: Any) -> None:
        self._ended.add(str(job_info.external_jobid))
        super().report_job_error(job_info, msg, **kwargs)

    def cancel_jobs(self, active_jobs: Sequence[SubmittedJobInfo]) -> None:  # noqa: ARG002
        """All that this run has in Slurm's queue, also what was being submitted or asked about; say what came of it."""
        self._job_submission_executor.shutdown(wait=True, cancel_futures=True)
        queued = _slurm("squeue", "--noheader", "--array", "--format=%i", f"--name={self.run_uuid}")
        numbers = queued.stdout.split()
        if not queued.returncode and not numbers:
            self.logger.warning("Stopped. No job of this run is in Slurm's queue.")
            return
        cancelled = _slurm("scancel", f"--name={self.run_uuid}")
        if queued.returncode or cancelled.returncode:
            trouble = (cancelled.stderr or queued.stderr).strip()
            self.logger.error(
                f"Stopped, but Slurm did not cancel the jobs of this run ({trouble}): they may still run. When it "
                f"answers again, type: scancel --name={self.run_uuid}"
            )
        else:
            self.logger.warning(f"Stopped. {len(numbers)} jobs in Slurm's queue were cancelled: {', '.join(numbers)}.")

    def get_account_arg(self, job: Any) -> Generator[str, None, None]:
        """The account, which was looked at before the first job; else none, and Slurm takes the user's own."""
        account = job.resources.get("slurm_account")
        yield f" -A {shlex.quote(str(account))}" if account else ""


def _slurm(*command: str) -> subprocess.CompletedProcess[str]:
    """A failure, not an exception, if it does not answer within a minute."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", "no answer within a minute")


def replace_plugin() -> None:
    """Snakemake takes `Submissions` for the plugin's executor from now on."""
    slurm: Any = ExecutorPluginRegistry().get_plugin("slurm")
    slurm.executor = Submissions
