"""Jobs that Slurm ends: the mask that they make is in the end what it would have been, byte for byte.

Prunes are held up once their first layer is on disk (see `hooks/sitecustomize.py`); there they are ended.
"""

from __future__ import annotations

from tests.slurm.asked import asked_for, compression_needs
from tests.slurm.lab import MASK, PARTITIONS, Workplace


def test_a_job_over_its_time_limit_gets_more_and_goes_on_after_its_last_layer(disturbed: Workplace) -> None:
    run = disturbed.start_held("--", MASK)
    (job,) = disturbed.held(run)
    disturbed.cluster.run("scontrol", "update", f"jobid={job}", "EndTime=now")
    run.succeed()
    first, second = disturbed.jobs("prune_model")
    assert (first["JobState"], second["JobState"]) == ("TIMEOUT", "COMPLETED")
    needs = compression_needs(disturbed.settings, "mini", "wanda", attempt=2)
    assert {name: asked_for(second)[name] for name in needs} == needs
    assert "was killed because its time was over" in run.output
    assert disturbed.has_taken_over_the_first_layer()
    disturbed.is_as_undisturbed()


def test_a_job_killed_for_memory_says_so_and_gets_more(disturbed: Workplace) -> None:
    """It needs 1500 MB more than it should: too much for the first attempt, not for the second."""
    run = disturbed.start("--", MASK, FAULT_HOG_MB="1500")
    run.succeed()
    first, second = disturbed.jobs("prune_model")
    assert (first["JobState"], second["JobState"]) == ("FAILED", "COMPLETED")
    assert asked_for(second)["mem_mb"] == 2 * asked_for(first)["mem_mb"]
    assert f"was killed for memory: it had {asked_for(first)['mem_mb']} MB" in run.output
    disturbed.is_as_undisturbed()


def test_a_cancelled_job_is_submitted_again(disturbed: Workplace) -> None:
    run = disturbed.start_held("--", MASK)
    (job,) = disturbed.held(run)
    disturbed.cluster.run("scancel", job)
    run.succeed()
    first, second = disturbed.jobs("prune_model")
    assert (first["JobState"], second["JobState"]) == ("CANCELLED", "COMPLETED")
    disturbed.is_as_undisturbed()


def test_a_preempted_job_goes_on_after_its_last_layer(disturbed: Workplace) -> None:
    disturbed.say_in_user_file(partitions={"scavenge": PARTITIONS["batch"]})
    run = disturbed.start_held("--", MASK)
    (job,) = disturbed.held(run)
    cluster = disturbed.cluster
    cluster.run("sbatch", "--partition=batch", "--exclusive", "--time=1", "--output=/dev/null", "--wrap=sleep 1")
    run.meanwhile(lambda: disturbed.jobs()[0]["JobState"] == "PENDING", "the job was back in the queue")
    cluster.run("scontrol", "update", f"jobid={job}", "StartTime=now")  # Slurm would hold it back for two minutes
    run.succeed()
    (prune,) = disturbed.jobs("prune_model")
    assert (prune["JobId"], prune["Restarts"], prune["JobState"]) == (job, "1", "COMPLETED")
    assert disturbed.has_taken_over_the_first_layer()
    disturbed.is_as_undisturbed()
