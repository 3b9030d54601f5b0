"""What happens to jobs on a cluster: whatever it is, the results are those of an undisturbed run, byte for byte.

Each test deletes a cell of a finished study, asks for its scores, and disturbs what makes them: a prune, which is held
up once its first layer is on disk, or the dump after it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.slurm.lab import CELL, PARTITIONS, Workplace

SCORES = f"{CELL}/perplexity.parquet"
PRUNE_LOG = "mini/wanda/0.50/de-sw/seed0/prune_model.log"
DUMP_LOG = "mini/wanda/0.50/de-sw/seed0/hidden_states/pair.log"


@pytest.fixture
def workplace(workplace: Workplace) -> Workplace:
    """A working copy with a cell to make again."""
    shutil.rmtree(workplace.folder / CELL)
    return workplace


def state(workplace: Workplace, job: str) -> str:
    return next(each["JobState"] for each in workplace.jobs() if each["JobId"] == job)


def has_taken_over_the_first_layer(workplace: Workplace) -> bool:
    return "layer 1/3: taken over" in workplace.log_of(PRUNE_LOG)


def test_a_job_over_its_time_limit_gets_more(workplace: Workplace) -> None:
    run = workplace.start_held("--", SCORES)
    (job,) = workplace.held(run)
    workplace.cluster.run("scontrol", "update", f"jobid={job}", "EndTime=now")
    run.meanwhile(lambda: state(workplace, job) == "TIMEOUT", "the job's time was over")
    workplace.release()
    run.succeed()
    _, second = workplace.jobs("prune_model")
    assert has_taken_over_the_first_layer(workplace)
    workplace.is_as_undisturbed()


def test_a_job_killed_for_memory_gets_more(workplace: Workplace) -> None:
    run = workplace.start("--", SCORES, FAULT_HOG_MB="1500")
    run.succeed()
    first, second = workplace.jobs("prune_model")
    assert first["JobState"] in ("FAILED", "OUT_OF_MEMORY") and second["JobState"] == "COMPLETED"
    workplace.is_as_undisturbed()


def test_a_cancelled_job_is_submitted_again(workplace: Workplace) -> None:
    run = workplace.start_held("--", SCORES)
    (job,) = workplace.held(run)
    workplace.cluster.run("scancel", job)
    run.succeed()
    first, second = workplace.jobs("prune_model")
    assert (first["JobState"], second["JobState"]) == ("CANCELLED", "COMPLETED")
    workplace.is_as_undisturbed()


def test_a_drained_node_finishes_its_job_and_gets_the_next_when_resumed(workplace: Workplace) -> None:
    run = workplace.start_held("--", SCORES)
    workplace.held(run)
    workplace.cluster.run("scontrol", "update", "nodename=c1", "state=drain", "reason=test")
    try:
        workplace.release()
        run.meanwhile(lambda: workplace.jobs("dump_cell_pair"), "the next job was there")
        (dump,) = workplace.jobs("dump_cell_pair")
        assert dump["JobState"] == "PENDING"
    finally:
        workplace.cluster.run("scontrol", "update", "nodename=c1", "state=resume")
    run.succeed()
    assert [job["JobState"] for job in workplace.jobs()] == ["COMPLETED"] * 2
    workplace.is_as_undisturbed()


def test_a_preempted_prune_goes_on_after_its_last_finished_layer(workplace: Workplace) -> None:
    workplace.say_in_user_file(partitions={"scavenge": PARTITIONS["batch"]})
    run = workplace.start_held("--", SCORES)
    (job,) = workplace.held(run)
    cluster = workplace.cluster
    cluster.run("sbatch", "--partition=batch", "--exclusive", "--time=1", "--output=/dev/null", "--wrap=sleep 1")
    run.meanwhile(lambda: state(workplace, job) == "PENDING", "the job was back in the queue")
    cluster.run("scontrol", "update", f"jobid={job}", "StartTime=now")  # Slurm holds it back for two minutes
    run.succeed()
    (prune,) = workplace.jobs("prune_model")
    assert (prune["JobId"], prune["Restarts"], prune["JobState"]) == (job, "1", "COMPLETED")
    assert has_taken_over_the_first_layer(workplace)
    workplace.is_as_undisturbed()


def test_a_killed_snakemake_starts_again_without_two_jobs_for_one_file(workplace: Workplace) -> None:
    killed = workplace.start_held("--", SCORES)
    (orphan,) = workplace.held(killed)
    killed.process.kill()
    workplace.start("--unlock").succeed()
    assert state(workplace, orphan) == "RUNNING"
    workplace.start("--", SCORES).succeed()
    first, second = workplace.jobs("prune_model")
    assert (first["JobId"], first["JobState"]) == (orphan, "CANCELLED")
    assert first["EndTime"] <= second["StartTime"]
    assert has_taken_over_the_first_layer(workplace)
    workplace.is_as_undisturbed()


def test_a_restarted_controller_is_waited_for(workplace: Workplace) -> None:
    run = workplace.start_held("--", SCORES)
    workplace.held(run)
    with workplace.cluster.without_controller():
        time.sleep(5)
        workplace.release()
    run.succeed()
    assert [job["JobState"] for job in workplace.jobs()] == ["COMPLETED"] * 2
    workplace.is_as_undisturbed()


@contextlib.contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[None]:
    """A disk of this size in place of a folder, whose files are moved to it and, in the end, back."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "none", folder], check=True)
    try:
        yield
        kept = folder.with_name("kept")
        shutil.copytree(folder, kept)
    finally:
        subprocess.run(["umount", folder], check=True)
    folder.rmdir()
    kept.rename(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk_is_named_and_nothing_half_stays(workplace: Workplace) -> None:
    folder = workplace.folder / CELL
    with small_disk(folder, 400):
        filler = folder / "filler"
        filler.write_bytes(bytes(380 << 10))
        assert workplace.start("--retries", "0", "--", SCORES).code() == 1
        print(workplace.log_of(PRUNE_LOG), [(p, p.stat().st_size) for p in folder.rglob("*")], workplace._runs[-1].output)
        filler.unlink()
        workplace.start("--", SCORES).succeed()
    workplace.is_as_undisturbed()
