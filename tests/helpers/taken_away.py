"""A folder in which a job takes away its output, with Snakemake's own notes of it."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from snakemake.persistence import MetadataRecord
from snakemake.persistence.file import FilePersistence

from polyprune.workflow.earlier import PLACE, Keeper, Records

MASK = "results/m/wanda/0.50/de/seed0/mask.safetensors"
EXPORT = "results/m/wanda/0.50/de/seed0/export/config.json"
OLD, NEW = {"params": ["'old'"]}, {"params": ["'new'"]}


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


def nothing_queued() -> set[str]:
    return set()


def kept() -> list[Path]:
    return list(PLACE.glob("*"))


def begin_export(place: Place) -> None:
    place.begin()
    shutil.rmtree(place.output.parent)
    place.output.parent.mkdir()
    for name in ("weights", "more"):
        (place.output.parent / name).write_text("new")


def exported(place: Place) -> dict[str, str]:
    return {file.name: file.read_text() for file in place.output.parent.iterdir()}
