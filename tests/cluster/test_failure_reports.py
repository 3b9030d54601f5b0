"""Why a job of Slurm's failed, told from its status and its logs."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from polyprune.cluster import slurm

STATUS = "SLURM-job '17' failed, SLURM status is: '{}'. Detailed failure reason unavailable"


MEMORY = "killed for memory: it had 8000 MB"


TIME = "killed because its time was over: it had 60 minutes"


ENDS = [
    ("FAILED", "slurmstepd-c1: error: StepId=1.0 exceeded memory limit (313597952 > 209715200), being killed\n"
     "slurmstepd-c1: error: *** STEP 1.0 ON c1 CANCELLED AT 2026-11-22T07:04:03 ***", MEMORY),
    ("FAILED", "slurmstepd: error: Detected 1 oom-kill event(s) in StepId=5.0. Some of your processes may have been "
     "killed by the cgroup out-of-memory handler.", MEMORY),
    ("FAILED", "slurmstepd: error: Detected 1 oom_kill event in StepId=5.0. Some of the step tasks have been "
     "OOM Killed.", MEMORY),
    ("OUT_OF_MEMORY", "", MEMORY),
    ("TIMEOUT", "", TIME),
    ("FAILED", "slurmstepd: error: *** JOB 5 ON c1 CANCELLED AT 2026-11-22T07:04:03 DUE TO TIME LIMIT ***", TIME),
    ("NODE_FAIL", "", "killed because its node failed"),
    ("CANCELLED by 0", "", "cancelled"),
    ("CANCELLED", "slurmstepd: error: *** JOB 5 ON c1 CANCELLED AT 2026-11-22T07:04:03 ***", "cancelled"),
]  # fmt: skip


def account(*what: Any) -> str:
    return slurm.account_of_failure(*what)[0]


def job(attempt: int = 1) -> SimpleNamespace:
    return SimpleNamespace(
        rule=SimpleNamespace(name="prune_model"), wildcards=["tiny", "wanda", "0.50", "de", "0"],
        attempt=attempt, _attempt=attempt, restart_times=2, resources={"mem_mb": 8000, "runtime": 60},
    )  # fmt: skip


@pytest.mark.parametrize(("status", "said", "expected"), ENDS, ids=[f"{end[0]} {end[2][:20]}" for end in ENDS])
def test_the_reason_is_told_with_what_the_job_had(status: str, said: str, expected: str, tmp_path: Path):
    log, slurm_log = tmp_path / "prune_model.log", tmp_path / "17.log"
    log.write_text("layer 3/32\n")
    slurm_log.write_text(f"Building DAG of jobs...\n{said}\n")
    told = account(job(), STATUS.format(status), [log, slurm_log])
    assert told == (
        f"prune_model tiny wanda 0.50 de 0 was {expected}\n  it is tried again, with more memory and time "
        f"(attempt 2 of 3). Logs: {log}, {slurm_log}"
    )


def test_an_error_of_the_stage_is_shown_from_its_own_log(tmp_path: Path):
    """A GPU that is out of memory has nothing to do with the job's memory."""
    log, slurm_log = tmp_path / "prune_model.log", tmp_path / "17.log"
    last = "CUDA_ERROR_OUT_OF_MEMORY: oom_kill, CANCELLED, TIMEOUT"
    log.write_text("\n".join([*(f"layer {i}" for i in range(100)), last]) + "\n")
    slurm_log.write_text(f"Building DAG of jobs...\n{last}\nsrun: error: c1: task 0: Exited\n")
    told = account(job(attempt=3), STATUS.format("FAILED"), [log, slurm_log])
    first, *shown, outlook = told.splitlines()
    assert first == "prune_model tiny wanda 0.50 de 0 failed:" and shown[-1].strip() == last
    assert len(shown) == 15 and outlook.startswith("  it is not tried again. Logs: ")


@pytest.mark.parametrize("why", ["PREEMPTION", "JOB REQUEUE"])
def test_that_a_job_was_requeued_does_not_hide_what_befell_it_afterwards(why: str, tmp_path: Path):
    """Its second run appends to the Slurm log of its first."""
    requeued = f"slurmstepd: error: *** JOB 17 ON c1 CANCELLED AT 2026-11-22T07:04:03 DUE TO {why} ***\n"
    slurm_log = tmp_path / "17.log"
    slurm_log.write_text(f"{requeued}ValueError: 3\n")
    told = account(job(), STATUS.format("FAILED"), [slurm_log])
    assert told.startswith("prune_model tiny wanda 0.50 de 0 failed:\n") and "\n    ValueError: 3\n" in told
    slurm_log.write_text(f"{requeued}slurmstepd: error: *** JOB 17 ON c1 CANCELLED AT 2026-11-22T07:09:03 ***\n")
    assert "de 0 was cancelled" in account(job(), STATUS.format("FAILED"), [slurm_log])


def test_the_last_attempt_but_one_is_followed_by_the_last(tmp_path: Path):
    told = account(job(attempt=2), STATUS.format("TIMEOUT"), [tmp_path / "17.log"])
    assert "(attempt 3 of 3)" in told


def test_a_job_that_never_began_is_told_in_the_plugins_words(tmp_path: Path):
    told = account(job(), "SLURM sbatch failed. Invalid account", [tmp_path / "prune_model.log"])
    assert told.startswith("prune_model tiny wanda 0.50 de 0 failed:\n    SLURM sbatch failed. Invalid account\n")


def test_a_refused_submission_is_told_in_the_plugins_words_whatever_earlier_attempts_logged(tmp_path: Path):
    log = tmp_path / "prune_model.log"
    log.write_text("slurmstepd: error: *** JOB 5 ON c1 CANCELLED AT 2026-11-22T07:04:03 DUE TO TIME LIMIT ***\n")
    told = account(job(attempt=2), "SLURM sbatch failed. Invalid account", [log])
    assert told.startswith("prune_model tiny wanda 0.50 de 0 failed:\n    SLURM sbatch failed. Invalid account\n")


def event(name: str, message: str | None, *logs: Path) -> logging.LogRecord:
    """What Snakemake logs when it submits a job, and when one fails."""
    details = {"event": SimpleNamespace(name=name), "rule_msg": message, "jobid": 3, "log": [str(log) for log in logs]}
    return logging.makeLogRecord(details)


def test_an_earlier_attempts_log_is_not_taken_for_this_ones(tmp_path: Path):
    log, first, second, third = (tmp_path / name for name in ("prune_model.log", "17.log", "18.log", "19.log"))
    said: list[str] = []
    reports = slurm.FailureReports({3: job()}.get, said.append)
    failed = STATUS.format("FAILED")

    reports.emit(event("JOB_INFO", None, log))
    log.write_text("ValueError: 1\n")
    first.write_text("srun: error\n")
    reports.emit(event("JOB_ERROR", failed, log, first))
    assert "failed:\n    ValueError: 1\n" in said[-1]

    reports.emit(event("JOB_INFO", None, log))
    second.write_text("bash: line 1: module: command not found\n")
    reports.emit(event("JOB_ERROR", failed, log, second))
    assert "failed:\n    bash: line 1: module: command not found\n" in said[-1]

    reports.emit(event("JOB_INFO", None, log))
    reports.emit(event("JOB_ERROR", failed, log, third))
    assert f"failed:\n    {failed}\n" in said[-1]

    reports.emit(event("JOB_INFO", None, log))
    os.utime(log, ns=(0, log.stat().st_mtime_ns + 1))
    reports.emit(event("JOB_ERROR", failed, log, third))
    assert "failed:\n    ValueError: 1\n" in said[-1]
    assert len(said) == 4


STAMP = "2026-11-22 07:04:03,123 ERROR"


@pytest.mark.parametrize(
    ("status", "logged", "again"),
    [
        ("FAILED", f"{STAMP} error: de.txt has no text: see docs/cells.md", "as more memory and time are no help"),
        ("FAILED", f"{STAMP} unexpected error, please report it with x.log:\nValueError: 1", None),
        ("OUT_OF_MEMORY", f"{STAMP} error: de.txt has no text", None),
        ("SLURM sbatch failed. Invalid account", "", "as it would be refused again"),
    ],
)
def test_what_more_memory_does_not_help_is_not_tried_again(tmp_path: Path, status: str, logged: str, again: str | None):
    """Snakemake tries a job again while it has attempts left."""
    log, slurm_log = tmp_path / "prune_model.log", tmp_path / "17.log"
    said: list[str] = []
    failed = job()
    reports = slurm.FailureReports({3: failed}.get, said.append)
    reports.emit(event("JOB_INFO", None, log))
    log.write_text(logged)
    slurm_log.write_text("srun: error\n")
    reports.emit(event("JOB_ERROR", STATUS.format(status) if "sbatch" not in status else status, log, slurm_log))
    assert failed._attempt == (3 if again else 1)
    assert (f"it is not tried again, {again}. Logs" if again else "it is tried again, with more") in said[0]


@pytest.mark.parametrize(("logged", "attempt"), [(f"{STAMP} error: no such file", 3), ("ValueError: 1", 1)])
def test_a_local_step_that_tells_a_mistake_is_not_tried_again(tmp_path: Path, logged: str, attempt: int):
    log, failed = tmp_path / "collect_documents.log", job()
    reports = slurm.FailureReports({3: failed}.get, pytest.fail)
    reports.emit(event("JOB_INFO", None, log))
    log.write_text(logged)
    reports.emit(event("JOB_ERROR", None, log))
    assert failed._attempt == attempt
