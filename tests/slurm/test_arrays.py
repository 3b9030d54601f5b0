"""Jobs that ask for the same are submitted as one array, and each is judged, cancelled and made again by itself."""

from __future__ import annotations

import signal

import pytest
from tests.helpers.warm_worker import wait_until
from tests.slurm.lab import MASK, Workplace

OTHER = MASK.replace("de-sw", "de")


@pytest.fixture
def disturbed(workplace: Workplace) -> Workplace:
    """A working copy with two masks to make again."""
    for mask in (MASK, OTHER):
        (workplace.folder / mask).unlink()
    return workplace


def states(workplace: Workplace) -> dict[str, str]:
    """Of the tasks of arrays, by array and number; of other jobs by number."""
    return {
        f"{job['ArrayJobId']}_{job['ArrayTaskId']}" if "ArrayJobId" in job else job["JobId"]: job["JobState"]
        for job in workplace.jobs()
    }


def test_a_task_that_is_cancelled_is_made_again_and_the_others_are_not(disturbed: Workplace) -> None:
    run = disturbed.start_held("--", MASK, OTHER)
    first, second = disturbed.held(run, 2)
    array = min(first, second, key=int)
    assert states(disturbed) == {f"{array}_1": "RUNNING", f"{array}_2": "RUNNING"}
    disturbed.cluster.run("scancel", f"{array}_1")
    disturbed.release()
    run.succeed()
    of_array = {f"{array}_1": "CANCELLED", f"{array}_2": "COMPLETED"}
    (again,) = states(disturbed).keys() - of_array
    assert states(disturbed) == of_array | {again: "COMPLETED"}
    run.says(rf"have been submitted as SLURM array {array} ")
    assert run.output.count("was cancelled") == 1 and "attempt 2 of 3" in run.output
    disturbed.is_as_undisturbed()


def test_of_a_killed_run_only_the_tasks_end_that_do_what_is_planned(disturbed: Workplace) -> None:
    killed = disturbed.start_held("--", MASK, OTHER)
    array = min(disturbed.held(killed, 2), key=int)
    works = disturbed.jobs()[0]["Comment"].split(";")
    task = 1 + next(index for index, work in enumerate(works) if "_de-sw_" in work)
    killed.process.kill()
    disturbed.start("--unlock").succeed()
    run = disturbed.start("--", MASK)
    run.meanwhile(lambda: states(disturbed)[f"{array}_{task}"] == "CANCELLED", "the task had ended")
    assert states(disturbed)[f"{array}_{3 - task}"] == "RUNNING"
    disturbed.release()
    run.succeed()
    run.says(rf"they are cancelled and run anew: {array}_{task} \(rule_prune_model_wildcards_mini_\S*_de-sw_0\)$")
    wait_until(lambda: states(disturbed)[f"{array}_{3 - task}"] == "COMPLETED")
    disturbed.start("--", MASK, OTHER).succeed()
    disturbed.is_as_undisturbed()


def test_ctrl_c_cancels_tasks_that_wait(disturbed: Workplace) -> None:
    with disturbed.cluster.set_back("partitionname=batch", "state=down", "state=up"):
        run = disturbed.start("--", MASK, OTHER)
        run.meanwhile(disturbed.jobs, "there was an array")
        run.meanwhile(lambda: "SLURM array" in run.output, "Snakemake knew")
        run.process.send_signal(signal.SIGINT)
        assert run.code() == 1
    run.says(r"Stopped\. 2 jobs in Slurm's queue were cancelled: (\d+)_1, \1_2\.")
    assert {*states(disturbed).values()} == {"CANCELLED"}
