"""Dumps of several cells in one Slurm job: which share one, each run decides anew, whatever a killed one has queued."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.slurm.lab import Workplace, rule_of

CELLS = [f"results/mini/{cell}/seed0" for cell in ("wanda/0.50/de", "wanda/0.50/de-sw", "sparsegpt/0.50/de")]
TABLE = "results/fault/table1.parquet"


@pytest.fixture
def without_dumps(workplace: Workplace) -> Workplace:
    """A working copy whose cells are all to be dumped, and shown in a table, again."""
    cells = [workplace.folder / cell for cell in CELLS]
    files = [*(file for cell in cells for file in cell.rglob("*.h5")), *(cell / "drift.parquet" for cell in cells)]
    assert len(files) == len(CELLS) * 3
    for file in [*files, workplace.folder / TABLE]:
        file.unlink()
    return workplace


def dumps(workplace: Workplace) -> list[tuple[str, str]]:
    """Rules without what names bundles, and states of the jobs that dump cells; in the order of submission."""
    jobs = [(rule_of(job), job["JobState"]) for job in workplace.jobs()]
    return [(rule.removesuffix(f"_{rule.rsplit('_')[-1]}"), state) for rule, state in jobs if "dump_" in rule]


@pytest.mark.parametrize("again", [[0, 1], [2]], ids=["a smaller bundle", "a cell alone"])
def test_a_bundle_that_waits_when_snakemake_is_killed_gives_way_to_other_cells(
    without_dumps: Workplace, again: list[int]
) -> None:
    place, scores = without_dumps, [f"{CELLS[number]}/drift.parquet" for number in again]
    rule = "dump_cells_pair" if len(again) > 1 else "dump_cell"
    with place.cluster.set_back("partitionname=batch", "state=down", "state=up"):
        killed = place.start("--", TABLE)
        killed.meanwhile(lambda: dumps(place), "a bundle waited")
        killed.process.kill()
        killed.process.wait()
        assert dumps(place) == [("dump_mixed_pair", "PENDING")]
        place.start("--unlock").succeed()
        run = place.start("--", *scores)
        run.meanwhile(lambda: len(dumps(place)) > 1, "other dumps waited")
        assert dumps(place) == [("dump_mixed_pair", "CANCELLED"), (rule, "PENDING")]
    run.succeed()
    run.says("they are cancelled and run anew: ")
    made = {file: file.stat().st_mtime_ns for file in (place.folder / "results").rglob("*.h5")}
    place.start("--", TABLE).succeed()
    assert [state for _, state in dumps(place)] == ["CANCELLED", "COMPLETED", "COMPLETED"]
    assert all(Path(file).stat().st_mtime_ns == time for file, time in made.items()), "nothing was dumped twice"
    place.is_as_undisturbed()
