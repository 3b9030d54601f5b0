"""Dumps of a bundle are recorded as if each cell had been dumped alone, and are looked for by what is recorded."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake.persistence import MetadataRecord
from snakemake.persistence.file import FilePersistence
from snakemake_interface_logger_plugins.common import LogEvent
from tests.helpers.leaves import everything

from polyprune.grammar.paths import Cell
from polyprune.settings.load import load_settings
from polyprune.workflow.dumped import Dumped
from polyprune.workflow.earlier import Records
from polyprune.workflow.inputs import Inputs
from polyprune.workflow.specs import Specs

SETTINGS = load_settings(everything())
INPUTS = Inputs(SETTINGS, Path("root"))
CELLS = [Cell("trained", "wanda", "0.50", calibration, 0) for calibration in ("de", "en")]
SHARED = ["results/trained/evaluation_text/made/de.safetensors", "results/trained/model.json"]
OUTPUTS = [path for cell in CELLS for path in INPUTS.dumps("made", f"{cell.model}/{cell.variant}")]


class Named(list[str]):
    """A job's inputs, of which some have a name."""

    cell: list[str]


@pytest.fixture
def noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Snakemake's own notes, in which it has looked for a bundle's dumps in vain, and then noted them."""
    monkeypatch.chdir(tmp_path)
    notes: Any = FilePersistence()
    for output in OUTPUTS:
        assert notes._read_record(output) is None
        Path(output).parent.mkdir(parents=True, exist_ok=True)
        Path(output).touch()
        notes._write_record(output, MetadataRecord(rule="dump_cells_made_0123abcd", input=["all"], params=["all"]))
    return notes


def finish(notes: Any, rule: str) -> None:
    """What Snakemake says when a job has ended."""
    inputs = Named([*SHARED, *(f"{cell.folder}/mask.safetensors" for cell in CELLS)])
    inputs.cell = inputs[len(SHARED) :]
    job = SimpleNamespace(rule=SimpleNamespace(name=rule), input=inputs, output=OUTPUTS)
    logger = logging.Logger("snakemake")
    dag = SimpleNamespace(needrun_jobs=lambda: [job], jobid=lambda _: 7)
    Dumped(INPUTS, Specs(SETTINGS)).record_as_alone(SimpleNamespace(dag=dag, persistence=notes), logger)
    logger.info("Finished jobid: 7", extra={"event": LogEvent.JOB_FINISHED, "job_id": 7})


def test_each_dump_is_recorded_as_its_own_rules(noted: Any) -> None:
    finish(noted, "dump_cells_made_0123abcd")
    for cell in CELLS:
        names = {"model": "trained", "method": "wanda", "scheme": "0.50", "calibration": cell.calibration, "seed": "0"}
        spec = Specs(SETTINGS).dump_hidden_states(names)
        for output in INPUTS.dumps("made", f"{cell.model}/{cell.variant}"):
            record = Records(FilePersistence()).of(output)
            assert record and record["rule"] == "dump_cell_made" and record["params"] == [repr(spec)]
            assert record["input"] == sorted([*SHARED, f"{cell.folder}/mask.safetensors"])


def test_other_jobs_records_stay(noted: Any) -> None:
    finish(noted, "dump_cell_made")
    record = Records(FilePersistence()).of(OUTPUTS[0])
    assert record and record["input"] == record["params"] == ["all"]


def test_what_is_there_and_recorded_by_todays_spec_is_made(noted: Any) -> None:
    dumped = Dumped(INPUTS, Specs(SETTINGS))
    assert not any(dumped.is_made("made", cell) for cell in CELLS), "recorded with other parameters"
    finish(noted, "dump_cells_made_0123abcd")
    assert all(Dumped(INPUTS, Specs(SETTINGS)).is_made("made", cell) for cell in CELLS)
    Path(OUTPUTS[-1]).unlink()
    assert [dumped.is_made("made", cell) for cell in CELLS] == [True, False]
    assert not dumped.is_made("made", Cell("trained", "wanda", "0.50", "sw", 0)), "nothing is there"
    for score in ("perplexity.parquet", "drift.parquet"):
        assert [dumped.is_made("made", cell) for cell in CELLS] == [True, False]
        Path(CELLS[1].folder, score).touch()
    assert all(dumped.is_made("made", cell) for cell in CELLS), "measured, and then deleted to have room"
    noted._write_record(f"{CELLS[1].folder}/perplexity.parquet", MetadataRecord(params=["other"]))
    assert [Dumped(INPUTS, Specs(SETTINGS)).is_made("made", cell) for cell in CELLS] == [True, False]
    assert noted._delete_record(OUTPUTS[0])
    noted._mark_incomplete(OUTPUTS[1], None)
    assert not Dumped(INPUTS, Specs(SETTINGS)).is_made("made", CELLS[0]), "a job was stopped when it had written them"
    noted._unmark_incomplete(OUTPUTS[1])
    assert Dumped(INPUTS, Specs(SETTINGS)).is_made("made", CELLS[0]), "there, and nobody knows from what"
