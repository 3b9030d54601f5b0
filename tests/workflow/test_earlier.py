"""What jobs took away and never made: kept, put back with the record that it was made with, or forgotten."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from snakemake.persistence import MetadataRecord
from tests.helpers.taken_away import MASK, NEW, OLD, Place, begin_export, exported, kept, nothing_queued

from polyprune.errors import UserError
from polyprune.workflow.earlier import put_back

WORK = "rule_prune_model_wildcards_m_wanda_0.50_de_0"


def test_what_a_failed_job_took_away_comes_back_with_its_record_and_its_time(place: Place):
    place.begin()
    place.end(None)
    assert place.state == (None, NEW["params"], False)
    put_back(nothing_queued)
    assert place.state == ("old", OLD["params"], False)
    assert place.output.stat().st_mtime == 1e9 and place.output.stat().st_nlink == 1
    assert kept() == []


@pytest.mark.parametrize("written", [None, "new"])
def test_what_a_killed_job_took_away_comes_back_in_place_of_what_it_may_have_written(place: Place, written: str | None):
    place.begin()
    if written:
        place.output.write_text(written)
    put_back(nothing_queued)
    assert place.state == ("old", OLD["params"], False) and kept() == []


def test_a_job_that_was_killed_between_removal_and_mark_is_like_any_other(place: Place):
    place.tell("JOB_INFO")
    place.output.unlink()
    put_back(nothing_queued)
    assert place.state == ("old", OLD["params"], False)


def test_what_was_made_is_forgotten_as_soon_as_it_is(place: Place):
    place.begin()
    place.end("new")
    place.tell("JOB_FINISHED")
    assert kept() == [] and place.state == ("new", NEW["params"], False)


def test_what_was_made_stays_where_nobody_told_of_it(place: Place):
    """With `--quiet progress`, Snakemake does not."""
    place.begin()
    place.end("new")
    put_back(nothing_queued)
    assert kept() == [] and place.state == ("new", NEW["params"], False)


def test_what_was_not_taken_away_is_left_alone(place: Place):
    place.tell("JOB_INFO")
    put_back(nothing_queued)
    assert kept() == [] and place.state == ("old", OLD["params"], False)


def test_what_went_with_its_folder_does_not_come_back(place: Place):
    place.begin()
    shutil.rmtree("results")
    put_back(nothing_queued)
    assert kept() == [] and place.state[0] is None


def test_a_second_attempt_does_not_take_the_place_of_what_the_first_took_away(place: Place):
    place.begin()
    place.end(None)
    place.output.write_text("half")
    place.begin()
    put_back(nothing_queued)
    assert place.state == ("old", OLD["params"], False)


def test_what_nobody_knows_to_be_whole_or_made_with_what_is_not_kept(place: Place):
    place.notes._mark_incomplete(MASK, None)
    place.tell("JOB_INFO")
    assert kept() == []
    place.notes._unmark_incomplete(MASK)
    place.notes._delete_record(MASK)
    place.notes._clear_cache()
    place.tell("JOB_INFO")
    assert kept() == []


def test_under_a_lock_nothing_happens(place: Place):
    place.begin()
    place.notes._write_locks("output", [MASK])
    put_back(nothing_queued)
    assert place.state == (None, OLD["params"], True) and len(kept()) == 1


def test_without_hard_links_nothing_is_kept_and_nothing_said(place: Place, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    place.begin()
    assert kept() == []


def test_on_slurm_nothing_comes_back_while_its_job_may_be_at_work(place: Place):
    def no_answer() -> set[str]:
        raise UserError("squeue does not answer")

    place.begin(on_slurm=True)
    for queued in ({WORK}.copy, no_answer):
        put_back(queued)
        assert place.state == (None, OLD["params"], True)
    put_back({WORK.replace("de_0", "sw_0")}.copy)
    assert place.state == ("old", OLD["params"], False)


def test_slurm_is_asked_only_about_its_own_jobs(place: Place):
    def never() -> set[str]:
        raise AssertionError("asked")

    put_back(never)
    place.begin(on_slurm=False)
    put_back(never)
    assert place.state == ("old", OLD["params"], False)


@pytest.mark.parametrize(("alike", "content"), [(True, "new"), (False, "old")])
def test_what_slurm_made_without_snakemake_counts_if_its_settings_are_those_of_the_record(
    place: Place, alike: bool, content: str
):
    place.begin(on_slurm=True, alike=alike)
    place.end("new", recorded=False)
    put_back(nothing_queued)
    assert place.state == (content, OLD["params"], False) and kept() == []


def test_a_folder_comes_back_as_it_was(export: Place):
    begin_export(export)
    assert {file.name for file in (kept()[0] / "beside").iterdir()} == {"weights"}, "the output is to come last"
    put_back(nothing_queued)
    assert export.state == ("old", OLD["params"], False)
    assert exported(export) == {"config.json": "old", "weights": "old weights"}


def test_an_output_that_is_a_folder_comes_back_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    place = Place("compare_with_paper", "results/versus_paper/table1.png")
    folder = place.output.parent
    place.job.output = [str(folder)]
    place.notes._write_record(str(folder), MetadataRecord(params=OLD["params"]))
    place.tell("JOB_INFO")
    shutil.rmtree(folder)
    place.notes._mark_incomplete(str(folder), None)
    folder.mkdir()
    (folder / "table2.png").write_text("new")
    put_back(nothing_queued)
    assert {file.name: file.read_text() for file in folder.iterdir()} == {"table1.png": "old"}
    assert place.output.stat().st_mtime == 1e9 and kept() == []
