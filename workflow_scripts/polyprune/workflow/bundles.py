"""Jobs that dump hidden states: which cells one makes, what it is called, and what such a name means.

    dump_dense_{data}             the dense model on a corpus or on prompts
    dump_cell_{data}              any cell by itself
    dump_cells_{data}_{digest}    a bundle, named by its members: a job of this name does the same whatever the settings

These names are made and read here only: rules take them from `Bundles`, the ledger and the reader of Slurm's queue ask.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from polyprune.grammar.calibrations import PLAIN, parse_calibration
from polyprune.grammar.paths import Cell, cell_of, origin_of
from polyprune.grammar.schemes import SCHEME_PATTERN
from polyprune.provenance import digest
from polyprune.settings.config import Settings
from polyprune.workflow.inputs import CELL_VARIANT, Inputs
from polyprune.workflow.wildcards import Only, Wildcards, any_of

_CELLS = re.compile(r"dump_cell_(.+)|dump_cells_(.+)_[0-9a-f]+")
_BUNDLE = re.compile(r"(rule_dump_cells_.+)_[0-9a-f]+(_wildcards_.+)")
_LOG_OF_BUNDLE = "-bundle"
Spec = Callable[[Wildcards], str]


@dataclass(frozen=True)
class Dump:
    """How cells are dumped by one job: its rule, patterns of the variants, name of its logs, wildcard constraints."""

    rule: str
    variants: list[str]
    log: str
    model: str
    method: str
    scheme: str
    calibration: str
    """One of them, of whose kind the others are; none of any cell by itself."""


class Bundles:
    """The rules that dump cells under some settings."""

    def __init__(self, settings: Settings, inputs: Inputs) -> None:
        self.settings, self.inputs, self.only = settings, inputs, Only(settings)

    def on_corpus(self, corpus: str) -> list[Dump]:
        """Of cells on a corpus: the bundles of those that the studies ask for, and one rule for any cell by itself.

        Cells of checkpoints are in no bundle: what they are made from differs from cell to cell.
        """
        asked = [cell for cell in self._cells_for("drift") if self.settings.models[cell.model].text.corpus == corpus]
        return self._dumps(corpus, self.only.models_on(corpus), asked)

    def on_prompts(self, prompts: str) -> list[Dump]:
        """The same on prompts."""
        asked = [cell for cell in self._cells_for("lsar") if self.settings.models[cell.model].prompts == prompts]
        return self._dumps(prompts, self.only.models_asked(prompts), asked)

    def spec(self, of: Spec, dump: Dump) -> Spec:
        """The spec of a dump's jobs: that of a cell, with the calibration that a bundle's wildcards do not say."""
        if not dump.calibration or parse_calibration(dump.calibration).kind == parse_calibration(PLAIN).kind:
            return of
        return lambda wildcards: of({**wildcards, "calibration": dump.calibration})

    def _cells_for(self, measurements: str) -> list[Cell]:
        """Cells of the tables and figures that are made from these measurements."""
        shown = [*self.inputs.tables(), *self.inputs.figures()]
        wanted = [(study, name) for study, name in shown if self.inputs.kind(study, name).measurements == measurements]
        return [cell for study, name in wanted for cell in self.settings.studies[study].cells(name)]

    def _dumps(self, data: str, models: str, cells: Iterable[Cell]) -> list[Dump]:
        made_here = [cell for cell in cells if origin_of(cell.method) is None]
        bundled = [
            Dump(
                _rule_of_bundle(data, bundle),
                [f"{{model}}/{{method}}/{{scheme}}/{cell.calibration}/seed{cell.seed}" for cell in bundle],
                data + _LOG_OF_BUNDLE,
                any_of([bundle[0].model]),
                any_of([bundle[0].method]),
                any_of([bundle[0].scheme]),
                bundle[0].calibration,
            )
            for bundle in bundles(made_here, self.settings.engine.cells_per_dump)
        ]
        by_itself = Dump(
            f"dump_cell_{data}", [CELL_VARIANT], data, models, self.only.everywhere()["method"], SCHEME_PATTERN, ""
        )
        return [*bundled, by_itself]


def bundles(cells: Iterable[Cell], size: int) -> list[list[Cell]]:
    """Cells whose dumps one job makes: up to `size` of a model, method and scheme, neighbours by seed and calibration.

    Their calibrations ask the same of the model's settings (`Calibration.kind`). Cells without a neighbour are in no
    bundle. The order does not depend on the order of `cells`; a higher seed changes
    no bundle but the last.
    """

    def common(cell: Cell) -> tuple[Any, ...]:
        return cell.model, cell.method, cell.scheme, parse_calibration(cell.calibration).kind

    ordered = sorted(set(cells), key=lambda cell: (*common(cell), cell.seed, cell.calibration))
    found: list[list[Cell]] = []
    for _, group in groupby(ordered, key=common):
        members = list(group)
        found += [members[start : start + size] for start in range(0, len(members), size)]
    return [bundle for bundle in found if len(bundle) > 1]


def _rule_of_bundle(data: str, bundle: Iterable[Cell]) -> str:
    return f"dump_cells_{data}_{digest(*(cell.folder for cell in bundle))[:8]}"


def record_key(rule: str, wildcards: Mapping[str, str]) -> tuple[str, str, str]:
    """Jobs that cost alike: rule (of an evaluation with its benchmark, all bundles of dumps are one), model, method."""
    if "benchmark" in wildcards:
        rule = f"evaluate_{wildcards['benchmark']}"
    if rule.startswith("dump_cells_"):
        rule = rule.rpartition("_")[0]
    return rule, wildcards.get("model", ""), wildcards.get("method", "")


def recorded_rule(log: str, variant: str) -> str:
    """The rule of `record_key` that a dump's benchmark record `{log}.benchmark.jsonl` belongs to.

    `variant` is `dense` or `cell`.
    """
    data = log.removesuffix(_LOG_OF_BUNDLE)
    return f"dump_{variant}_{data}" if data == log else f"dump_cells_{data}"


def work_of(rule: str, wildcards: Sequence[str]) -> str:
    """The comment that Snakemake's Slurm plugin gives the job of a rule."""
    return f"rule_{rule}" + (f"_wildcards_{'_'.join(wildcards).replace('/', '_')}" if wildcards else "")


def works_like(rule: str, wildcards: Sequence[str], output: Sequence[str]) -> set[str]:
    """Works (see `essence`) of all jobs that may write what this one will: its own, of dumps also others.

    Settings decide which cells are dumped by one job. So a dump may be under way cell by cell, or in a bundle whose
    members are not known here, beyond that they have its model, method and scheme: its first three wildcards.
    """
    match = _CELLS.fullmatch(rule)
    if match is None:
        return {work_of(rule, wildcards)}
    data, shared = match[1] or match[2], list(wildcards)[:3]
    cells = [cell for path in output if (cell := cell_of(path))]
    alone = {work_of(f"dump_cell_{data}", [*shared, cell.calibration, str(cell.seed)]) for cell in cells}
    return {work_of(f"dump_cells_{data}", shared), *alone}


def essence(work: str) -> str:
    """The work without what tells one bundle of dumps of a model, method and scheme from another."""
    return _BUNDLE.sub(r"\1\2", work)
