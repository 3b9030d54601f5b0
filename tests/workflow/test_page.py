"""How far a study's tables and figures are, from files that lie there and from what Snakemake plans."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from tests.helpers.shipped import ROOT

from polyprune.grammar.methods import artifact_of
from polyprune.settings.load import SHIPPED_FILES
from polyprune.workflow.inputs import Inputs
from polyprune.workflow.ledger import Line, read_config
from polyprune.workflow.page import main, page

SETTINGS = read_config([ROOT / file for file in SHIPPED_FILES])
TOTAL = Line(outstanding=177)


def make(root: Path, files: Iterable[str]) -> None:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()


def parts(found: dict[str, Any]) -> dict[str, tuple[str, int, int]]:
    return {each["name"]: (each["state"], each["done"], each["cells"]) for each in found["parts"]}


def test_a_finished_table_counts_though_other_tables_ask_more_of_its_cells(tmp_path: Path) -> None:
    inputs = Inputs(SETTINGS, tmp_path)
    cells = [artifact_of(cell) for cell in SETTINGS.studies["demo"].cells("table1")]
    make(tmp_path, [*inputs.measurements("demo", "table1"), *inputs.evidence("demo", "table1"), *cells])
    make(tmp_path, ["results/demo/table1.json"])
    found = page(SETTINGS, "demo", [TOTAL], {"results/demo/table2.json"}, tmp_path)
    assert parts(found)["table1"] == ("finished", 64, 64) and parts(found)["table2"] == ("outstanding", 0, 56)
    assert parts(found)["figure2"] == ("outstanding", 6, 9)
    assert found["made"] == 64 and len(found["lines"]) == 1


def test_what_is_planned_is_not_finished_though_it_lies_there(tmp_path: Path) -> None:
    inputs = Inputs(SETTINGS, tmp_path)
    cells = [artifact_of(cell) for cell in SETTINGS.studies["demo"].cells("table16")]
    measured = inputs.measurements("demo", "table1")
    make(tmp_path, [*cells, *measured, *inputs.evidence("demo", "table1"), "results/demo/table1.json"])
    planned = {cells[0], measured[-1], "results/demo/table1.json"}
    found = page(SETTINGS, "demo", [TOTAL], planned, tmp_path)
    assert parts(found)["table1"] == ("outdated", 63, 64) and parts(found)["table16"] == ("outstanding", 8, 9)
    assert found["made"] == 8


def test_an_answer_that_is_to_be_made_again_is_not_shown(tmp_path: Path) -> None:
    """What lies there now is compared in its place."""
    answer, items = "results/demo/best_calibration.parquet", Inputs(SETTINGS, tmp_path).answers("demo")[:2]
    make(tmp_path, [answer, *items])
    there, again = (page(SETTINGS, "demo", [TOTAL], planned, tmp_path) for planned in (set(), {answer}))
    assert (there["answer"], there["items"]) == (answer, [])
    assert (again["answer"], again["items"]) == (None, items)


def test_of_a_study_of_which_all_is_there_nothing_is_told(tmp_path: Path) -> None:
    entry = SETTINGS.studies["demo"]
    make(
        tmp_path,
        (
            f"results/demo/{name}.{'json' if name in entry.tables else 'png'}"
            for name in (*entry.tables, *entry.figures)
        ),
    )
    found = page(SETTINGS, "demo", [Line(done=177)], set(), tmp_path)
    assert found["lines"] == [] and {each["state"] for each in found["parts"]} == {"finished"}
    assert page(SETTINGS, "demo", [Line(done=177)], {"results/demo/figure1.png"}, tmp_path)["lines"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["mix"], "; it is in studies/mix.yaml: make report STUDY=mix CONFIGFILE=studies/mix.yaml\n"),
        (["dmeo"], "STUDY: 'dmeo' is not one of demo, paper; did you mean demo?\n"),
        (["mix", "--configfile", "studies/mix.yml"], "; did you mean studies/mix.yaml?\n"),
    ],
)
def test_a_study_that_is_not_known_says_where_it_is(
    words: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(words) == 1
    assert capsys.readouterr().err.endswith(said)
