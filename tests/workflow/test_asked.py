"""Of which cells a run dumps hidden states: what is worked out from targets is what Snakemake then plans."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.helpers.checkout import copy_repository
from tests.helpers.leaves import everything
from tests.helpers.planner import plans

from polyprune.grammar.paths import PAPER, cell_of
from polyprune.settings.load import load_settings
from polyprune.workflow.asked import measured, targets_in
from polyprune.workflow.inputs import Inputs
from polyprune.workflow.targets import as_named

SETTINGS = load_settings(everything())
INPUTS = Inputs(SETTINGS, Path("root"))
CELL = "results/trained/sparsegpt/0.50/de/seed0"
STAGES = {"drift": "dump_hidden_states", "lsar": "dump_prompts"}


ASKED = [
    ["all"],
    ["results/all/why.parquet"],
    ["results/all/report.html"],
    [f"{CELL}/drift.parquet", "results/trained/wanda/0.50/en/seed0/lsar.parquet", f"{CELL}/weights.safetensors"],
]


def test_cells_of_targets_are_those_whose_dumps_are_planned(tmp_path: Path) -> None:
    requests = [(targets, everything()) for targets in ASKED]
    for targets, jobs in zip(ASKED, plans(copy_repository(tmp_path), requests), strict=True):
        for measurements, stage in STAGES.items():
            dumped = {cell_of(output) for job in jobs if job.stage == stage for output in job.outputs} - {None}
            asked = set(measured(INPUTS, targets, measurements))
            assert asked == dumped, (targets, measurements)
            assert asked or targets == ["results/all/why.parquet"]


def test_tables_and_figures_ask_for_their_own_cells_and_other_targets_for_none() -> None:
    study = SETTINGS.studies["all"]
    for name in [*study.tables, *study.figures]:
        for measurements in STAGES:
            shows = INPUTS.kind("all", name).measurements == measurements
            asked = list(measured(INPUTS, [f"results/all/{name}.png"], measurements))
            assert asked == (list(study.cells(name)) if shows else [])
    others = ["results/trained/model.json", f"{CELL}/weights.safetensors", "results/corpora/made/de.parquet", "nothing"]
    assert not [cell for measurements in STAGES for cell in measured(INPUTS, others, measurements)]


def test_the_default_target_is_meant_where_none_is_named() -> None:
    assert targets_in(["--cores", "2", "-n"], SETTINGS) == [PAPER]
    assert targets_in(["--cores", "2", "all", "results/all/table1.md"], SETTINGS) == ["all", "results/all/table1.md"]


@pytest.mark.parametrize("score", ["drift.parquet", "lsar.parquet"])
@pytest.mark.parametrize(
    "variant",
    [
        "traind/sparsegpt/0.50/de/seed0",
        "trained/sparsgpt/0.50/de/seed0",
        "trained/sparsegpt/0.5/de/seed0",
        "trained/sparsegpt/0.50/xx/seed0",
        "trained/sparsegpt/0.50/de+q/seed0",
        "trained/sparsegpt/0.50/de/seed00",
        "trained/sparsegpt@nobody/0.50/de/seed0",
    ],
)
def test_misspelt_targets_ask_for_nothing_and_are_not_the_default(variant: str, score: str) -> None:
    """They are refused when all rules are read, in a sentence; what is worked out from them would be a traceback."""
    assert targets_in(["-n", f"results/{variant}/{score}"], SETTINGS) == []


def test_results_are_named_as_snakemake_names_them_however_they_are_spelt() -> None:
    spelt = [f"./{CELL}/drift.parquet", f"{CELL}//./drift.parquet", f"../{Path.cwd().name}/{CELL}/drift.parquet"]
    assert as_named(spelt) == 3 * [f"{CELL}/drift.parquet"]
    others = ["all", "-n", "", "--configfile", "./mine.yaml", "/results/table1.md", "./results"]
    assert as_named(others) == others
