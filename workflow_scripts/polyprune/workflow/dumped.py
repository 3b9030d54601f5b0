"""Dumps are recorded as what they are: each cell's, as if its job had made no others.

Which cells share a job depends on what a run asks for, and on what is there. Snakemake notes of each file its job's
inputs and parameters, and makes it again if those of the job that would make it now are others. So once a job that
dumped several cells has succeeded, its notes are put in the words of the rule for one cell. If somebody kills Snakemake
before that, it finds the dumps made by another job, and they are made again.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from polyprune.grammar.methods import artifact_of
from polyprune.grammar.paths import Cell, cell_of
from polyprune.workflow.asked import SCORES
from polyprune.workflow.bundles import data_of_bundle, rule_of_one
from polyprune.workflow.earlier import Records, jobs_to_run
from polyprune.workflow.inputs import Inputs
from polyprune.workflow.quick_records import record_of
from polyprune.workflow.specs import Specs

SpecOf = Callable[[Mapping[str, str]], str]
"""The spec of a job by its wildcards."""


class Dumped:
    """What there is of dumps, and what Snakemake's records of them say."""

    def __init__(self, inputs: Inputs, specs: Specs) -> None:
        self.inputs, self.specs = inputs, specs

    def is_made(self, data: str, cell: Cell) -> bool:
        """Whether a cell's dumps on a corpus or on prompts are there, or what is measured in them is.

        And if they are recorded, by today's spec. Whoever has deleted dumps to have room is not to get them again
        because other cells are dumped.
        """
        of_prompts = data in self.specs.settings.prompts
        measure, scores = (self.specs.measure_lsar, "lsar") if of_prompts else (self.specs.measure_drift, "drift")
        dumps = self.inputs.dumps(data, f"{cell.model}/{cell.variant}")
        measured = [f"{cell.folder}/{name}" for name in SCORES[scores]]
        return self._are_by(dumps, self._params(data, cell)) or self._are_by(measured, _recorded(measure, cell))

    def _are_by(self, paths: Sequence[str], params: list[str]) -> bool:
        """Whether files are there and whole and, if the first is recorded, made with these parameters."""
        if not all(map(os.path.exists, paths)) or any(map(self._records.incomplete, paths)):
            return False
        record = record_of(self._persistence, paths[0])
        return record is None or record.get("params") == params

    def record_as_alone(self, workflow: Any, logger: logging.Logger) -> None:
        """Before the first job of Snakemake's `workflow`: watch for jobs that dump several cells."""
        jobs = jobs_to_run(workflow.dag)
        if any(data_of_bundle(job.rule.name) for job in jobs.values()):
            logger.addHandler(_AsAlone(jobs, Records(workflow.persistence), self))

    def entries(self, data: str, cell: Cell, shared: set[str]) -> dict[str, Any]:
        """Of the record of a cell's dumps, what depends on the job; `shared` are inputs that are no cell."""
        return {
            "rule": rule_of_one(data),
            "input": sorted([*shared, artifact_of(cell)]),
            "params": self._params(data, cell),
        }

    def spec_of(self, rule: str, output: str) -> str | None:
        """Of a cell's dump that a job of this rule makes with others: the spec of the cell's own job. Else None."""
        data = data_of_bundle(rule)
        cell = cell_of(output) if data else None
        return _spec(self._dump(data), cell) if data and cell else None

    def _dump(self, data: str) -> SpecOf:
        return self.specs.dump_prompts if data in self.specs.settings.prompts else self.specs.dump_hidden_states

    def _params(self, data: str, cell: Cell) -> list[str]:
        return _recorded(self._dump(data), cell)

    @cached_property
    def _persistence(self) -> Any:
        from snakemake.persistence.file import FilePersistence

        return FilePersistence()

    @cached_property
    def _records(self) -> Records:
        return Records(self._persistence)


def _spec(spec_of: SpecOf, cell: Cell) -> str:
    names = ("model", "method", "scheme", "calibration", "seed")  # in the order of the rule's wildcards
    return spec_of({name: str(getattr(cell, name)) for name in names})


def _recorded(spec_of: SpecOf, cell: Cell) -> list[str]:
    """Parameters of a cell's job, as Snakemake records them."""
    return [repr(_spec(spec_of, cell))]


class _AsAlone(logging.Handler):
    """Handler of Snakemake's log: rewrites the records of a bundle's dumps when its job has succeeded."""

    def __init__(self, jobs: Mapping[int, Any], records: Records, dumped: Dumped) -> None:
        super().__init__()
        self.jobs, self.records, self.dumped = jobs, records, dumped

    def emit(self, record: logging.LogRecord) -> None:
        """Snakemake tells of a job that has ended when it has noted what it made."""
        event = getattr(record, "event", None)
        if event is not None and event.name == "JOB_FINISHED":
            job = self.jobs[vars(record)["job_id"]]
            if data := data_of_bundle(job.rule.name):
                self._rewrite(job, data)

    def _rewrite(self, job: Any, data: str) -> None:
        shared = {*map(str, job.input)} - {*map(str, job.input.cell)}
        self.records.reread()
        for output in map(str, job.output):
            cell, noted = cell_of(output), self.records.of(output)
            if cell and noted:  # --drop-metadata leaves none
                self.records.write(output, noted | self.dumped.entries(data, cell, shared))
