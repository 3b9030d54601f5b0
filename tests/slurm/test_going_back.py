"""Back at earlier settings: what Slurm's jobs took away is there again, once no job can write over it any more."""

from __future__ import annotations

from tests.helpers.warm_worker import wait_until
from tests.slurm.lab import Run, Workplace

WEIGHTS = "results/mini/sparsegpt/0.50/de/seed0/weights.safetensors"


def held_under_other_settings(workplace: Workplace, *words: str) -> tuple[Run, str]:
    """A run in the midst of a prune, and the prune's job id."""
    turned = workplace.folder / "turned.yaml"
    turned.write_text("compression: {damping: 0.02}\n")
    run = workplace.start_held(*words, "--configfile", str(turned), "--", WEIGHTS)
    (job,) = workplace.held(run)
    return run, job


def plan(workplace: Workplace) -> str:
    run = workplace.start("-n", "--", WEIGHTS)
    run.succeed()
    return run.output


def kill(workplace: Workplace, run: Run) -> None:
    run.process.kill()
    run.process.wait()
    workplace.start("--unlock").succeed()


def state_of(workplace: Workplace) -> str:
    (job,) = workplace.jobs()
    return job["JobState"]


def test_a_cancelled_job_has_taken_nothing_away(workplace: Workplace) -> None:
    run, job = held_under_other_settings(workplace, "--retries", "0")
    workplace.cluster.run("scancel", job)
    assert run.code() != 0
    assert not (workplace.folder / WEIGHTS).exists()
    assert "Nothing to be done" in plan(workplace)
    assert (workplace.folder / WEIGHTS).read_bytes() == (workplace.undisturbed / WEIGHTS).read_bytes()


def test_nothing_comes_back_while_the_job_of_a_killed_snakemake_may_write(workplace: Workplace) -> None:
    run, job = held_under_other_settings(workplace)
    kill(workplace, run)
    assert "reconstruct_model" in plan(workplace)
    assert not (workplace.folder / WEIGHTS).exists() and state_of(workplace) == "RUNNING"
    workplace.cluster.run("scancel", job)
    wait_until(lambda: not workplace.cluster.run("squeue", "--noheader", "--me").strip())
    assert "Nothing to be done" in plan(workplace)
    assert (workplace.folder / WEIGHTS).read_bytes() == (workplace.undisturbed / WEIGHTS).read_bytes()


def test_what_that_job_wrote_in_the_end_is_not_taken_for_the_earlier_cell(workplace: Workplace) -> None:
    run, _ = held_under_other_settings(workplace)
    kill(workplace, run)
    workplace.release()
    wait_until(lambda: state_of(workplace) == "COMPLETED")
    assert (workplace.folder / WEIGHTS).read_bytes() != (workplace.undisturbed / WEIGHTS).read_bytes()
    assert "Nothing to be done" in plan(workplace)
    assert (workplace.folder / WEIGHTS).read_bytes() == (workplace.undisturbed / WEIGHTS).read_bytes()
