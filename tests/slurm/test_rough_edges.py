"""What a user's file, a queue and a stopped run meet on a real cluster: said at once, and survived where it passes."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator

import pytest
from tests.helpers.warm_worker import wait_until
from tests.slurm.asked import asked_for
from tests.slurm.lab import MASK, PARTITIONS, Run, Workplace


@contextlib.contextmanager
def pending(disturbed: Workplace, **environment: str) -> Iterator[Run]:
    """A run whose prune waits in the queue."""
    with disturbed.cluster.set_back("partitionname=batch", "state=down", "state=up"):
        run = disturbed.start("--", MASK, **environment)
        run.meanwhile(disturbed.jobs, "there was a job")
        yield run


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (None, r"cpu, gpu; there are accelerated, batch, scavenge\): it is the template"),
        ({"gpu_model": "h200"}, r"a gpu_model that this cluster does not have \(h200; there are h100\)"),
        ({"constraint": "fast&ib"}, r"a constraint that this cluster does not have \(ib; there are fast, plain\)"),
    ],
)
def test_what_the_cluster_does_not_have_is_refused_before_anything_is_submitted(
    disturbed: Workplace, named: dict[str, str] | None, said: str
) -> None:
    if named is None:
        disturbed.user_file = disturbed.folder / "slurm/partitions.yaml"
    else:
        disturbed.say_in_user_file(partitions=PARTITIONS, **named)
    run = disturbed.start("--", MASK)
    assert run.code() == 1 and not disturbed.jobs()
    run.says(said)


def test_a_retry_that_fits_nowhere_is_said_and_not_sent_to_the_default_partition(disturbed: Workplace) -> None:
    """The second attempt wants twice the memory."""
    with pending(disturbed) as run:
        (first,) = disturbed.jobs()
        run.process.send_signal(signal.SIGINT)
        assert run.code() == 1
    enough = asked_for(first)["mem_mb"]
    disturbed.say_in_user_file(partitions={"batch": {**PARTITIONS["batch"], "max_mem_mb": enough}})
    with pending(disturbed) as run:
        run.meanwhile(lambda: len(disturbed.jobs()) == 2, "there was a job")
        disturbed.cluster.run("scancel", disturbed.jobs()[1]["JobId"])
        assert run.code() == 1
    assert len(disturbed.jobs()) == 2
    run.says(rf"no partition in .* allows what attempt 2 needs: threads 1, mem_mb {2 * enough}, runtime \d+\. ")
    run.says("it is not tried again, as it would be refused again")


def test_ctrl_c_ends_within_seconds_and_says_what_it_cancelled(disturbed: Workplace) -> None:
    """Between two questions about jobs, which are three minutes apart."""
    with pending(disturbed, FAULT_PAUSE="180") as run:
        (job,) = disturbed.jobs()
        began = time.monotonic()
        run.process.send_signal(signal.SIGINT)
        assert run.code() == 1 and time.monotonic() - began < 10
    run.says(rf"Stopped\. 1 jobs in Slurm's queue were cancelled: {job['JobId']}\.")
    assert [job["JobState"] for job in disturbed.jobs()] == ["CANCELLED"]
    assert run.output.count("account") == 1, run.output


def test_a_job_that_slurm_has_forgotten_is_judged_by_its_output(disturbed: Workplace) -> None:
    """As where finished jobs are remembered for a minute only, or where the controller lost its state."""
    run = disturbed.start_held("--", MASK)
    disturbed.held(run)
    with disturbed.cluster.without_controller(forgetful=True):
        disturbed.release()
        wait_until(lambda: (disturbed.folder / MASK).exists())
    run.succeed()
    assert not disturbed.jobs()
    disturbed.is_as_undisturbed()


def test_nodes_whose_clocks_are_off_make_nothing_again(disturbed: Workplace) -> None:
    """What they write is older than what it was made from, or from the future."""
    other = MASK.replace("de-sw", "de")
    (disturbed.folder / other).unlink()
    disturbed.start("--", MASK, other, FAULT_CLOCK_HOURS="3").succeed()
    said = "".join(log.read_text() for log in disturbed.folder.glob("logs/slurm/rule_prune_model/**/*.log"))
    assert "off by 10800 s" in said and "off by -10800 s" in said
    disturbed.is_as_undisturbed()
    again = disturbed.start("-n", "--", MASK, other)
    again.succeed()
    again.says("Nothing to be done")
