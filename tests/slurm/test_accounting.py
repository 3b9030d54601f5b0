"""A cluster that keeps accounts: what the user's file may name there, and limits on how many jobs may be queued."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.slurm.accounting import ACCOUNT
from tests.slurm.asked import asked_for
from tests.slurm.cluster import Cluster
from tests.slurm.lab import MASK, PARTITIONS, Workplace


@pytest.fixture(scope="module")
def accounts() -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="slurm-", dir="/tmp") as folder:
        cluster = Cluster(Path(folder), accounting=True)
        yield cluster
        cluster.stop()


@pytest.fixture
def workplace(tmp_path: Path, accounts: Cluster, undisturbed: Path) -> Iterator[Workplace]:
    workplace = Workplace(tmp_path, accounts, undisturbed)
    yield workplace
    workplace.end()


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"account": "labor"}, r"an account that this cluster does not have \(labor; there are lab(, root)?\)"),
        ({"qos": "huge"}, r"a qos that this cluster does not have \(huge; there are few, long, normal\)"),
    ],
)
def test_an_unknown_account_or_qos_is_refused_with_those_that_there_are(
    workplace: Workplace, named: dict[str, str], said: str
) -> None:
    workplace.say_in_user_file(partitions=PARTITIONS, **named)
    (workplace.folder / MASK).unlink()
    run = workplace.start("--", MASK)
    assert run.code() == 1 and not workplace.jobs()
    run.says(said)


def test_no_more_jobs_are_queued_than_slurm_takes_and_none_fails_for_that(workplace: Workplace) -> None:
    """Two masks where one job may be queued: the second goes when there is room."""
    workplace.say_in_user_file(partitions=PARTITIONS, account=ACCOUNT, qos="few")
    masks = [f"results/mini/wanda/0.50/{calibration}/seed0/mask.safetensors" for calibration in ("de", "de-sw")]
    for mask in masks:
        (workplace.folder / mask).unlink()
    with workplace.cluster.set_back("partitionname=batch", "state=down", "state=up"):
        run = workplace.start("--", *masks)
        run.meanwhile(lambda: "Slurm takes no more jobs for now" in run.output, "Slurm had refused one")
    run.succeed()
    assert [job["JobState"] for job in workplace.jobs()] == ["COMPLETED"] * 2
    assert {asked_for(job)["account"] for job in workplace.jobs()} == {ACCOUNT}
    assert {job["QOS"] for job in workplace.jobs()} == {"few"}
    run.says("Slurm takes no more jobs for now .*Submit")
    assert run.output.count("it is tried again") == 0 and run.output.count("account") == 1, run.output
    workplace.is_as_undisturbed()
