"""What Snakemake and its Slurm plugin leave to us: jobs of a killed run, and why a job failed.

A Snakemake that is killed leaves its jobs behind. Started again, it would submit the same work once more, and two jobs
would write one file: so they are found and cancelled before anything is submitted.
"""

from __future__ import annotations

import logging
import re
import subprocess
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyprune.errors import UserError
from polyprune.workflow.bundles import essence, works_like
from polyprune.workflow.earlier import jobs_to_run
from polyprune.workflow.failures import tells_mistake

PREFIX = "polyprune_"
"""Of the names of our jobs: `slurm-jobname-prefix` in slurm/profile.yaml and an underscore."""
_ROW = re.compile(rf"([\d_]+)\|{PREFIX}[^|]*\|(.*)\|([^|]*)\|([^|]*)")
"""Of our jobs in squeue's answer. Comments of others are any text, even several lines; folders may have bars."""
BETWEEN_WORKS = ";"
"""In the comment of an array: the works of its tasks, in their order."""
_PATIENCE = 300.0
_SLURM_LOG = re.compile(r"\d+(_\d+)?\.log")
"""Names of Slurm's logs of jobs: their numbers, as the plugin has it, of an array's tasks with the task's."""
REFUSED, NOT_SUBMITTED = "SLURM sbatch failed", "not submitted: "
"""In messages of a job that did not get into the queue: the plugin's, and ours (`submission.py`)."""
_LOG_END = 100_000
_LINES_SHOWN = 15

Say = Callable[[str], None]


@dataclass(frozen=True)
class QueuedJob:
    """A job of this user that is queued, running or ending; of an array each task is one, `12_1`.

    `work` is the plugin's comment: rule and wildcards.
    """

    number: str
    work: str


def queued_jobs(folder: Path) -> list[QueuedJob]:
    """Our jobs in Slurm's queue that work in `folder`.

    Raises:
        UserError: Slurm does not answer, or is not here.
    """
    ask = ["squeue", "--me", "--noheader", "--array", "--format=%i|%j|%Z|%K|%k"]
    try:
        done = subprocess.run(ask, capture_output=True, text=True)
    except FileNotFoundError:
        raise UserError(
            "squeue is not found, so jobs of an earlier run cannot be ruled out: start where Slurm's commands are, "
            "such as on the login node, after `module load slurm` if your cluster wants it; or without a cluster, with "
            "--profile local"
        ) from None
    if done.returncode:
        raise UserError(
            f"squeue does not answer, so jobs of an earlier run cannot be ruled out: {done.stderr.strip()}; "
            "start where Slurm answers (try squeue --me), or without a cluster, with --profile local"
        )
    rows = (match.groups() for line in done.stdout.splitlines() if (match := _ROW.fullmatch(line)))
    here = folder.resolve()
    return [QueuedJob(number, _work(said, task)) for number, place, task, said in rows if Path(place).resolve() == here]


def _work(comment: str, task: str) -> str:
    """What the task of an array does by the array's comment; what a job does that is none."""
    works = comment.split(BETWEEN_WORKS)
    return works[int(task) - 1] if task.isdecimal() and 0 < int(task) <= len(works) else comment


def queued_work() -> set[str]:
    """What our jobs in Slurm's queue do that work in this folder (see `essence`); raises `UserError` as above."""
    return {essence(job.work) for job in queued_jobs(Path.cwd())}


def end_orphans(planned: Collection[str], folder: Path, say: Say, patience: float = _PATIENCE) -> None:
    """Cancel queued and running jobs that do what is `planned` (see `works_like`), and wait until they are gone.

    Other jobs in `folder` are left alone: they may be another living Snakemake's, which works on other files.

    Raises:
        UserError: they are not gone after `patience` seconds.
    """
    orphans = {job.number: job.work for job in queued_jobs(folder) if essence(job.work) in planned}
    if not orphans:
        return
    listed = ", ".join(f"{number} ({work})" for number, work in orphans.items())
    say(f"Slurm jobs of a run that was killed are still there; they are cancelled and run anew: {listed}")
    subprocess.run(["scancel", *orphans], capture_output=True)
    deadline = time.monotonic() + patience
    while left := [job.number for job in queued_jobs(folder) if job.number in orphans]:
        if time.monotonic() > deadline:
            raise UserError(
                f"Slurm jobs {', '.join(left)} of a run that was killed are not gone {patience:g} s after scancel; "
                f"nothing was submitted. See `squeue -j {','.join(left)}`, and start again when they are gone"
            )
        time.sleep(min(2.0, patience / 10))


_REASONS = {
    "killed for memory: it had {mem_mb} MB": r"'OUT_OF_MEMORY'|slurmstepd\S*: .*(oom.?kill|exceeded memory limit)",
    "killed because its time was over: it had {runtime} minutes": r"'TIMEOUT'|CANCELLED AT .* DUE TO TIME LIMIT",
    "killed because its node failed": r"'(NODE|BOOT)_FAIL'|CANCELLED AT .* DUE TO NODE FAILURE",
    "cancelled": r"'CANCELLED|CANCELLED AT (?!.* DUE TO (PREEMPTION|JOB REQUEUE))",
}
"""Why Slurm ends jobs, by the states in the plugin's messages and what slurmstepd writes; the first counts.

A job that was preempted or requeued runs again and appends to its Slurm log: that is not how it ended.
"""


def reason(message: str, slurm_log: str) -> str | None:
    """Why Slurm ended a job, as a template for its resources, from the plugin's message and the job's Slurm log."""
    text = f"{message}\n{slurm_log}"
    return next((said for said, pattern in _REASONS.items() if re.search(pattern, text)), None)


def end_of(path: Path) -> str:
    """The end of a log, empty if there is none."""
    try:
        return path.read_bytes()[-_LOG_END:].decode(errors="replace")
    except OSError:
        return ""


def account_of_failure(job: Any, message: str, logs: Sequence[Path], stale: Collection[Path] = ()) -> tuple[str, bool]:
    """What befell a job of Snakemake's, in words for its user, and whether it may be tried again.

    `message` is the plugin's. `logs` are the job's own and, last, Slurm's if the job began. Those that are `stale` an
    earlier attempt wrote and this one did not.
    """
    slurm_log = next((path for path in logs if _SLURM_LOG.fullmatch(path.name)), None)
    why = reason(message, end_of(slurm_log) if slurm_log else "")
    what = " ".join([job.rule.name, *job.wildcards])
    telling = [path for path in logs if path not in stale] if slurm_log else []
    useless = None if why else _useless(message, telling)
    again = f"it is tried again, with more memory and time (attempt {job.attempt + 1} of {job.restart_times + 1})"
    never = f"it is not tried again{f', {useless}' if useless else ''}"
    outlook = again if job.attempt <= job.restart_times and not useless else never
    if why:
        account = f"{what} was {why.format(mem_mb=job.resources.get('mem_mb'), runtime=job.resources.get('runtime'))}"
    else:
        said = next((text for path in telling if (text := end_of(path).strip())), message).splitlines()[-_LINES_SHOWN:]
        account = "\n    ".join([f"{what} failed:", *said])
    return f"{account}\n  {outlook}. Logs: {', '.join(map(str, logs))}", useless is None


def _useless(message: str, logs: Sequence[Path]) -> str | None:
    """Why another attempt, which has more memory and time, would end like this one; None if it may not."""
    if REFUSED in message or NOT_SUBMITTED in message:
        return "as it would be refused again"
    return "as more memory and time are no help" if any(map(tells_mistake, logs)) else None


def written(path: Path) -> int | None:
    """When a file was last written, in ns by the clock of its file system; None if there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


class FailureReports(logging.Handler):
    """Handler of Snakemake's log: says of every Slurm job that failed why, and ends attempts that cannot help.

    `job_of` finds the job of a job id.
    """

    def __init__(self, job_of: Callable[[int], Any], say: Say) -> None:
        super().__init__()
        self.job_of, self.say = job_of, say
        self._before: dict[Path, int | None] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Of a job that is about to run, note when its logs were written; account for one that failed.

        Of local jobs Snakemake tells itself; their events have no message of the plugin's.
        """
        event, details = getattr(record, "event", None), vars(record)
        if event is None:
            return
        logs = [Path(log) for log in details.get("log") or ()]
        if event.name == "JOB_INFO":
            self._before |= {log: written(log) for log in logs}
        elif event.name == "JOB_ERROR":
            stale = {log for log in logs if log in self._before and written(log) == self._before[log]}
            job, message = self.job_of(details["jobid"]), details["rule_msg"]
            if message:
                account, again = account_of_failure(job, message, logs, stale)
                self.say(account)
            else:
                again = not any(tells_mistake(log) for log in logs if log not in stale)
            if not again:
                job._attempt = job.restart_times + 1  # the last; not `attempt`, which would have resources anew


def take_over(dag: Any, folder: Path, logger: logging.Logger) -> None:
    """Before the first job of Snakemake's `dag`: end what a killed run left in `folder`, and account for failures.

    Raises:
        UserError: jobs of the killed run do not end.
    """
    jobs = jobs_to_run(dag)
    logger.addHandler(FailureReports(jobs.get, logger.error))
    planned = {work for job in jobs.values() for work in works_like(job.rule.name, job.wildcards, job.output)}
    groups = dag.workflow.group_settings.overwrite_groups
    rules = {job.rule.name for job in jobs.values()} & {*groups}
    planned |= {f"rule_{groups[rule]}_{rule}" for rule in rules}  # what Slurm knows a group by, whoever is in it
    end_orphans(planned, folder, logger.warning)
