"""What jobs took away and never made: kept, put back with the record that it was made with, or forgotten."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake.persistence import MetadataRecord
from snakemake.persistence.file import FilePersistence

from polyprune.errors import UserError
from polyprune.workflow import earlier
from polyprune.workflow.earlier import PLACE, Keeper, Records, put_back

MASK = "results/m/wanda/0.50/de/seed0/mask.safetensors"
WORK = "rule_prune_model_wildcards_m_wanda_0.50_de_0"
OLD, NEW = {"params": ["'old'"]}, {"params": ["'new'"]}


class Killed(BaseException):
    """SIGKILL, as far as one process can have it."""


class OtherRecords(Records):
    """A job that would change the record."""

    def alike(self, job: Any, output: Any) -> bool:  # noqa: ARG002
        return False


class LikeRecords(Records):
    """A job that would not."""

    def alike(self, job: Any, output: Any) -> bool:  # noqa: ARG002
        return True


class Place:
    """A folder with one output and Snakemake's notes; `job` is what makes it."""

    def __init__(self, rule: str, output: str) -> None:
        self.output, self.notes = Path(output), FilePersistence()
        self.job = SimpleNamespace(
            rule=SimpleNamespace(name=rule),
            wildcards=["m", "wanda", "0.50", "de", "0"],
            output=[output],
            is_local=False,
        )
        self.output.parent.mkdir(parents=True)
        self.output.write_text("old")
        self.record(OLD)
        os.utime(self.output, (1e9, 1e9))

    def record(self, content: dict[str, Any]) -> None:
        self.notes._write_record(str(self.output), MetadataRecord(**content))
        self.notes._clear_cache()

    @property
    def state(self) -> tuple[str | None, Any, bool]:
        """Content, parameters in Snakemake's record, and whether it is marked as incomplete."""
        notes = FilePersistence()
        made_with, marked = notes._read_record(str(self.output)), notes._filter_incomplete_keys([str(self.output)])
        content = self.output.read_text() if self.output.exists() else None
        return content, made_with and made_with.params, bool(marked)

    def tell(self, event: str, alike: bool = False, on_slurm: bool = False) -> None:
        """What Snakemake says in its log."""
        records = LikeRecords(self.notes) if alike else OtherRecords(self.notes)
        details: dict[str, Any] = {"event": SimpleNamespace(name=event), "jobid": 1, "job_id": 1}
        Keeper({1: self.job}, records, on_slurm).emit(logging.makeLogRecord(details))

    def begin(self, **how: bool) -> None:
        """The job starts: its output goes, a mark says so."""
        self.tell("JOB_INFO", **how)
        self.output.unlink()
        self.notes._mark_incomplete(str(self.output), None)

    def end(self, content: str | None, recorded: bool = True) -> None:
        """It ends, with an output or without; on Slurm without Snakemake there is nobody who takes down with what."""
        if content is not None:
            self.output.write_text(content)
        if recorded:
            self.record(NEW)
        self.notes._unmark_incomplete(str(self.output))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.chdir(tmp_path)
    return Place("prune_model", MASK)


def nothing_queued() -> set[str]:
    return set()


def kept() -> list[Path]:
    return list(PLACE.glob("*"))


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


EXPORT = "results/m/wanda/0.50/de/seed0/export/config.json"


def exported(place: Place) -> dict[str, str]:
    return {file.name: file.read_text() for file in place.output.parent.iterdir()}


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A job that writes more than its output."""
    monkeypatch.chdir(tmp_path)
    place = Place("export_model", EXPORT)
    (place.output.parent / "weights").write_text("old weights")
    return place


def begin_export(place: Place) -> None:
    place.begin()
    shutil.rmtree(place.output.parent)
    place.output.parent.mkdir()
    for name in ("weights", "more"):
        (place.output.parent / name).write_text("new")


def test_a_folder_comes_back_as_it_was(export: Place):
    begin_export(export)
    assert {file.name for file in (kept()[0] / "beside").iterdir()} == {"weights"}, "the output is to come last"
    put_back(nothing_queued)
    assert export.state == ("old", OLD["params"], False)
    assert exported(export) == {"config.json": "old", "weights": "old weights"}


STEPS: list[tuple[Any, str]] = [
    (os, "link"),
    (Path, "replace"),
    (shutil, "rmtree"),
    (Records, "write"),
    (Records, "complete"),
]


def killed_at(number: int, does: Callable[[], None]) -> bool:
    """Whether what `does` came to as many steps and was killed before that one."""
    left = [number]

    def patched(real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*words: Any, **named: Any) -> Any:
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return real(*words, **named)

        return step

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in STEPS:
            patch.setattr(owner, name, patched(getattr(owner, name)))
        try:
            does()
        except Killed:
            return True
    return False


def failed(place: Place) -> None:
    place.end(None)


def killed_late(place: Place) -> None:
    place.output.write_text("new")


STEPS_TAKEN = ((failed, 5), (killed_late, 4))


@pytest.mark.parametrize(("befalls", "number"), [(each, n) for each, n_steps in STEPS_TAKEN for n in range(n_steps)])
def test_killed_at_any_step_no_file_is_believed_to_be_made_with_other_settings(
    place: Place, befalls: Callable[[Place], None], number: int
):
    place.begin()
    befalls(place)
    assert killed_at(number, lambda: put_back(nothing_queued))
    content, made_with, marked = place.state
    assert marked or content is None or (content, made_with) == ("old", OLD["params"])
    put_back(nothing_queued)
    assert place.state == ("old", OLD["params"], False) and kept() == []


@pytest.mark.parametrize("number", range(7))
def test_killed_at_any_step_a_folder_is_whole_where_its_output_is_there(export: Place, number: int):
    begin_export(export)
    export.end(None)
    assert killed_at(number, lambda: put_back(nothing_queued))
    assert not export.output.exists() or exported(export) == {"config.json": "old", "weights": "old weights"}
    put_back(nothing_queued)
    assert exported(export) == {"config.json": "old", "weights": "old weights"}


def test_those_are_all_steps(place: Place):
    for befalls, n_steps in STEPS_TAKEN:
        place.begin()
        befalls(place)
        assert not killed_at(n_steps, lambda: put_back(nothing_queued))


def test_killed_while_it_keeps_nothing_is_lost(place: Place):
    assert killed_at(1, lambda: place.tell("JOB_INFO"))
    assert len(kept()) == 1 and earlier._read(kept()[0]) is None
    put_back(nothing_queued)
    assert kept() == [] and place.state == ("old", OLD["params"], False)
