"""Results that Snakemake did not make, or not so: the dry run tells, and a run does not overwrite them unasked."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.helpers.battery import contents
from tests.helpers.runs import QUICK, planned, quick, replace

CELL = "results/quick-llama/wanda/0.50/de/seed0"
NEIGHBOUR = "results/quick-llama/wanda/0.50/zh/seed0"


@pytest.fixture
def moved(edited: Path) -> Iterator[Path]:
    """The finished checkout without Snakemake's memory."""
    kept = (edited / ".snakemake").rename(edited / "kept")
    yield edited
    shutil.rmtree(edited / ".snakemake", ignore_errors=True)
    kept.rename(edited / ".snakemake")


def test_results_without_memory_are_what_they_say(moved: Path) -> None:
    """Nothing is planned for those of the same settings; for others what would be with it, and a run refuses."""
    assert planned(moved, QUICK) == {}
    before = contents(moved / "results")
    replace(moved / "studies/quick.yaml", "calibration_sequences: 8", "calibration_sequences: 9")
    assert planned(moved, QUICK) == {
        "build_calibration_set": 6,
        "prune_model": 6,
        "reconstruct_model": 6,
        "dump_cell_demo": 12,
        "measure_drift": 12,
        "tabulate_quick_table1": 1,
    }
    run = quick(moved, "--", QUICK)
    assert run.returncode != 0 and "Traceback" not in run.stdout + run.stderr
    names = [(model, calibration) for model in ("aya", "llama") for calibration in ("de-sw", "de", "zh")]
    shards = [f"results/quick-{model}/calibration/{name}/seed0/tokens.safetensors" for model, name in names]
    assert f"{shards[0]} was made with other settings: n_sequences 8, here 9" in run.stdout + run.stderr
    assert "This run would overwrite it and is not begun" in run.stdout + run.stderr
    assert f"rm {' '.join(shards)}" in run.stdout + run.stderr
    assert contents(moved / "results") == before


SWAPPED = {
    "scores": ("perplexity.parquet", "perplexity.parquet"),
    "drift in the place of perplexity": ("perplexity.parquet", "drift.parquet"),
    "a cell": ("mask.safetensors", "mask.safetensors"),
    "a dump": ("hidden_states/demo/sw.h5", "hidden_states/demo/sw.h5"),
    "a dump of another language": ("hidden_states/demo/sw.h5", "../../zh/seed0/hidden_states/demo/ru.h5"),
}


@pytest.mark.parametrize("name", SWAPPED)
def test_a_file_of_another_is_seen_although_snakemake_knows_its_place(edited: Path, name: str) -> None:
    at, of = SWAPPED[name]
    target, source = (edited / CELL / at, (edited / NEIGHBOUR / of).resolve())
    kept = shutil.copy2(target, edited / "kept")
    shutil.copy(source, target)
    run = quick(edited, "-n", "--", f"{CELL}/{at}")
    shutil.move(kept, target)
    place = source.relative_to(edited.resolve() / "results")
    assert run.returncode == 0
    assert f"{CELL}/{at} was made as {place} and lies in another's place" in run.stdout + run.stderr
    assert planned(edited, f"{CELL}/{at}") == {}
