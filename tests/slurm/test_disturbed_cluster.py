"""Nodes, the controller and Snakemake itself come and go: the results are in the end what they would have been."""

from __future__ import annotations

import time

from tests.slurm.lab import MASK, SCORES, Workplace


def test_a_drained_node_finishes_its_job_and_has_the_next_when_resumed(disturbed: Workplace) -> None:
    run = disturbed.start_held("--", MASK, SCORES)
    disturbed.held(run)
    with disturbed.cluster.set_back("nodename=c1", "state=drain reason=test", "state=resume"):
        disturbed.release()
        (dump,) = run.meanwhile(lambda: disturbed.jobs("dump_cell_pair"), "the next job was there")
        assert dump["JobState"] == "PENDING"
    run.succeed()
    assert [job["JobState"] for job in disturbed.jobs()] == ["COMPLETED"] * 2
    disturbed.is_as_undisturbed()


def test_the_job_of_a_node_that_fails_goes_on_when_the_node_is_back(disturbed: Workplace) -> None:
    run = disturbed.start_held("--", MASK, SCORES)
    (job,) = disturbed.held(run)
    with disturbed.cluster.set_back("nodename=c1", "state=down reason=test", "state=resume"):
        disturbed.release()
        run.meanwhile(lambda: disturbed.jobs()[0]["JobState"] == "PENDING", "Slurm had queued the job again")
    run.succeed()
    pruned, _ = disturbed.jobs()
    assert (pruned["JobId"], pruned["JobState"], pruned["Restarts"]) == (job, "COMPLETED", "1")
    assert disturbed.has_taken_over_the_first_layer()
    disturbed.is_as_undisturbed()


def test_a_killed_snakemake_starts_again_without_two_jobs_at_one_file(disturbed: Workplace) -> None:
    killed = disturbed.start_held("--", MASK)
    (orphan,) = disturbed.held(killed)
    killed.process.kill()
    disturbed.start("--unlock").succeed()
    assert [job["JobState"] for job in disturbed.jobs()] == ["RUNNING"]
    disturbed.start("--", MASK).succeed()
    first, second = disturbed.jobs("prune_model")
    assert (first["JobId"], first["JobState"]) == (orphan, "CANCELLED")
    assert first["EndTime"] <= second["SubmitTime"]
    assert disturbed.has_taken_over_the_first_layer()
    disturbed.is_as_undisturbed()


def test_a_restarted_controller_is_waited_for(disturbed: Workplace) -> None:
    """For a few seconds, as long as Slurm's commands wait for it themselves."""
    run = disturbed.start_held("--", MASK, SCORES)
    disturbed.held(run)
    with disturbed.cluster.without_controller():
        time.sleep(4)
        disturbed.release()
    run.succeed()
    assert [job["JobState"] for job in disturbed.jobs()] == ["COMPLETED"] * 2
    disturbed.is_as_undisturbed()
