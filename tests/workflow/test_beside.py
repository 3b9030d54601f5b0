"""Runs of several checkouts in one results folder: one at a time on a file, side by side on others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.helpers.checkout import ROOT

from polyprune.artifacts.json_files import read_json, write_json
from polyprune.errors import UserError
from polyprune.processes import owner
from polyprune.workflow.beside import RUNS, announce

SHARD, MASK, DUMP = "results/tiny/tokens.safetensors", "results/tiny/mask.safetensors", "results/tiny/de.h5"
OLDER, YOUNGER = 1e9, 4e9


def job(makes: str, *reads: str) -> Any:
    return SimpleNamespace(output=[makes, "logs/x.log"], input=[*reads, "workflow/code.py"])


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def another(when: float = OLDER, **about: Any) -> Path:
    """The note of a run of another checkout, which makes a mask from a shard; its process is the one above ours."""
    note = {"checkout": "/other", "host": "h", "owner": owner(), "process": os.getppid(), "makes": [MASK]}
    path = RUNS / "other.json"
    write_json(path, note | {"reads": [SHARD]} | about)
    os.utime(path, (when, when))
    return path


def ours() -> list[Path]:
    return [note for note in RUNS.glob("*.json") if note.name != "other.json"]


@pytest.mark.parametrize(
    "jobs",
    [[job(MASK, SHARD)], [job(DUMP, MASK)], [job(SHARD)], [job(SHARD), job(MASK, SHARD)]],
    ids=["makes the same", "reads what it makes", "makes what it reads", "both"],
)
def test_a_second_run_on_the_same_files_does_not_begin_and_says_whom_it_met(jobs: list[Any]) -> None:
    there = another()
    with pytest.raises(UserError) as refused:
        announce(jobs)
    said = str(refused.value)
    assert f"in use by another run in this results folder, of /other (process {os.getppid()} on h)" in said
    assert said.startswith((MASK, SHARD)) and said.endswith(f"If that run is gone: rm {there}")
    assert ours() == [] and there.exists()


def test_runs_that_only_read_the_same_go_on_side_by_side() -> None:
    there = another()
    announce([job(DUMP, SHARD)])
    (note,) = ours()
    assert there.exists() and read_json(note)["makes"] == [DUMP] and read_json(note)["reads"] == [SHARD]


def test_of_two_that_start_together_the_older_note_goes_on() -> None:
    another(YOUNGER)
    announce([job(MASK, SHARD)])
    assert len(ours()) == 1


def test_a_run_that_is_gone_is_forgotten(checkout: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    notes: list[dict[str, Any]] = [{"process": gone.pid}, {"checkout": str(checkout.resolve()), "owner": "elsewhere"}]
    for about in notes:
        there = another(**about)
        announce([job(MASK, SHARD)])
        assert not there.exists()


def test_of_another_machine_nobody_knows_whether_it_is_gone() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    another(process=gone.pid, owner="elsewhere")
    with pytest.raises(UserError, match=r"is in use|are in use"):
        announce([job(MASK)])


def test_the_note_goes_when_the_process_ends(checkout: Path) -> None:
    said = "from polyprune.workflow.beside import RUNS, announce; announce([]); print(*RUNS.iterdir())"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow_scripts")}
    ran = subprocess.run([sys.executable, "-c", said], cwd=checkout, env=environment, capture_output=True, text=True)
    assert str(RUNS) in ran.stdout, ran.stderr
    assert list((checkout / RUNS).iterdir()) == []


def test_results_that_cannot_be_written_are_no_reason_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise UserError("read-only")

    monkeypatch.setattr("polyprune.workflow.beside.write_json", refuse)
    announce([job(MASK)])
    assert not RUNS.exists()
