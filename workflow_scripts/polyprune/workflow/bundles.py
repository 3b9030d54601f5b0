"""Jobs that dump hidden states: which cells one makes, what it is called, and what such a name means.

    dump_dense_{data}             the dense model on a corpus or on prompts
    dump_cell_{data}              any cell by itself
    dump_cells_{data}_{digest}    a bundle, named by its members: a job of this name does the same whatever the settings
    dump_mixed_{data}_{digest}    one whose cells were made differently: by several methods or schemes, or calibrated on
                                  more than languages of the model's own corpus

Bundles are made anew for each run, of those cells whose dumps it asks for and does not have by today's settings: so
nothing is dumped that was not asked for, and nothing a second time because others came. Those whose dumps wait because
a neighbour could not be read (`model/dumps.py`) are apart from it now. Once dumped, a cell's files are recorded as if
it had been alone (`dumped.py`).

These names are made and read here only: rules take them from `Bundles`, the ledger and the reader of Slurm's queue ask.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from polyprune.grammar.calibrations import PLAIN, parse_calibration
from polyprune.grammar.methods import artifact_of
from polyprune.grammar.paths import Cell, cell_of, origin_of, waiting
from polyprune.grammar.schemes import SCHEME_PATTERN
from polyprune.provenance import digest
from polyprune.settings.config import Settings
from polyprune.workflow import costs
from polyprune.workflow.asked import compressed, measured
from polyprune.workflow.inputs import CELL_VARIANT, InputFunction, Inputs
from polyprune.workflow.wildcards import Only, any_of

_CELLS = re.compile(r"dump_cell_(.+)|dump_(?:cells|mixed)_(.+)_[0-9a-f]+")
_BUNDLE = re.compile(r"(rule_dump_(?:cells|mixed)_.+)_[0-9a-f]+(_wildcards_.+)")
MIXED = "dump_mixed_"
_CELLS_OF_TINY = 8
"""That one job dumps of a model so small that starting a job, and the dense model's pass, cost more than a cell's."""
Members = Mapping[str, list[list[Cell]]]
"""The cells of bundles, by the text or prompts that they are dumped on."""
_LOG_OF_BUNDLE, _LOG_OF_MIXED = "-bundle", "-mixed"


@dataclass(frozen=True)
class Dump:
    """How cells are dumped by one job.

    Its rule, patterns of the variants and of their compressed weights, name of its logs, wildcard constraints; and its
    cells where they were made differently: method and scheme are no wildcards then.
    """

    rule: str
    variants: list[str]
    cells: InputFunction | list[str]
    log: str
    wildcards: dict[str, str]
    mixed: list[Cell]


class Bundles:
    """The rules that dump cells in a run under some settings.

    `targets` are what the run was asked for, `is_made` says whether a cell has its dumps on a corpus or on prompts, or
    what is measured in them; in a job of a run, there are no targets: `planned` are the run's own bundles, as `members`
    had them.
    """

    def __init__(
        self,
        settings: Settings,
        inputs: Inputs,
        targets: Sequence[str],
        is_made: Callable[[str, Cell], bool],
        planned: Members,
    ) -> None:
        self.settings, self.inputs, self.only = settings, inputs, Only(settings)
        self._targets, self._is_made, self._planned = targets, is_made, planned
        self._anew = {cell for cell in compressed(inputs, targets) if not Path(artifact_of(cell)).exists()}
        self.members: dict[str, list[list[Cell]]] = {}

    def on_corpus(self, corpus: str) -> list[Dump]:
        """Of cells on a corpus: the bundles, and one rule for any cell by itself.

        Cells of checkpoints are in no bundle: what they are made from differs from cell to cell.
        """
        asked = [cell for cell in self._asked("drift") if self.settings.models[cell.model].text.corpus == corpus]
        return self._dumps(corpus, self.only.models_on(corpus), asked)

    def on_prompts(self, prompts: str) -> list[Dump]:
        """The same on prompts."""
        asked = [cell for cell in self._asked("lsar") if self.settings.models[cell.model].prompts == prompts]
        return self._dumps(prompts, self.only.models_asked(prompts), asked)

    def _asked(self, measurements: str) -> list[Cell]:
        return list(dict.fromkeys(measured(self.inputs, self._targets, measurements)))

    def _dumps(self, data: str, models: str, cells: Iterable[Cell]) -> list[Dump]:
        of_here = [cell for cell in cells if origin_of(cell.method) is None and self._size(cell.model) > 1]
        lacking = [cell for cell in of_here if cell in self._anew or not self._is_made(data, cell)]
        kept = {cell for cell in lacking if self._waits(data, cell)}
        others = [cell for cell in lacking if cell not in kept]
        found = self._planned.get(data) or [*bundles(kept, self._size), *bundles(others, self._size)]
        self.members[data] = found
        wildcards = {"model": models, "method": self.only.everywhere()["method"], "scheme": SCHEME_PATTERN}
        alone = Dump(rule_of_one(data), [CELL_VARIANT], self.inputs.cell, data, wildcards, [])
        return [*(self._bundle(data, bundle) for bundle in found), alone]

    def _waits(self, data: str, cell: Cell) -> bool:
        """Whether an earlier job has finished a cell's dumps, and then failed because of others."""
        dumps = self.inputs.dumps(data, f"{cell.model}/{cell.variant}")
        return all(waiting(Path(dump)).exists() for dump in dumps)

    def _size(self, model: str) -> int:
        """Cells of a model that one job dumps at most."""
        of_any = 1 if costs.gpus(self.settings.models[model]) else _CELLS_OF_TINY
        return self.settings.engine.cells_per_dump or of_any

    def _bundle(self, data: str, bundle: list[Cell]) -> Dump:
        first, name = bundle[0], digest(*(cell.folder for cell in bundle))[:8]
        model = {"model": any_of([first.model])}
        if _is_mixed(bundle):
            variants = [f"{{model}}/{cell.variant}" for cell in bundle]
            return Dump(
                f"{MIXED}{data}_{name}",
                variants,
                [artifact_of(cell) for cell in bundle],
                data + _LOG_OF_MIXED,
                model,
                bundle,
            )
        variants = [f"{{model}}/{{method}}/{{scheme}}/{cell.calibration}/seed{cell.seed}" for cell in bundle]
        shared = model | {"method": any_of([first.method]), "scheme": any_of([first.scheme])}
        cells = self.inputs.cells(variants)
        return Dump(f"dump_cells_{data}_{name}", variants, cells, data + _LOG_OF_BUNDLE, shared, [])


def bundles(cells: Iterable[Cell], size_of: Callable[[str], int]) -> list[list[Cell]]:
    """Cells whose dumps one job makes: of a model up to `size_of(model)`.

    First of cells that were made alike, neighbours by seed and calibration; then what that leaves, of any. Cells
    without a neighbour are in no bundle. The order does not depend on the order of `cells`.
    """
    ordered = sorted(set(cells), key=lambda cell: (cell.model, _made(cell), cell.seed, cell.calibration))
    found: list[list[Cell]] = []
    for model, of_model in groupby(ordered, key=lambda cell: cell.model):
        left, size = list[Cell](), size_of(model)
        for _, alike in groupby(of_model, key=_made):
            members = list(alike)
            full = len(members) // size * size
            found += _in_parts(members[:full], size)
            left += members[full:]
        found += _in_parts(left, size)
    return [bundle for bundle in found if len(bundle) > 1]


def _in_parts(cells: list[Cell], size: int) -> list[list[Cell]]:
    return [cells[start : start + size] for start in range(0, len(cells), size)]


def _made(cell: Cell) -> tuple[Any, ...]:
    """What a cell's header says of how it was made, beside its calibration's languages and its seed."""
    return cell.method, cell.scheme, parse_calibration(cell.calibration).kind


def _is_mixed(bundle: Sequence[Cell]) -> bool:
    """Whether method and scheme do not say how all were made."""
    plain = parse_calibration(PLAIN).kind
    return len(set(map(_made, bundle))) > 1 or parse_calibration(bundle[0].calibration).kind != plain


def data_of_bundle(rule: str) -> str | None:
    """What a rule that dumps several cells dumps them on; None of any other rule."""
    match = _CELLS.fullmatch(rule)
    return match[2] if match else None


def rule_of_one(data: str) -> str:
    """The rule that dumps any cell by itself."""
    return f"dump_cell_{data}"


def record_key(rule: str, wildcards: Mapping[str, str]) -> tuple[str, str, str]:
    """Jobs that cost alike: rule (of an evaluation with its benchmark, all bundles of dumps are one), model, method."""
    if "benchmark" in wildcards:
        rule = f"evaluate_{wildcards['benchmark']}"
    if rule.startswith(("dump_cells_", MIXED)):
        rule = rule.rpartition("_")[0]
    return rule, wildcards.get("model", ""), wildcards.get("method", "")


def recorded_rule(log: str, variant: str) -> str:
    """The rule of `record_key` that a dump's benchmark record `{log}.benchmark.jsonl` belongs to.

    `variant` is `dense` or `cell`.
    """
    for ending, kind in ((_LOG_OF_BUNDLE, "cells"), (_LOG_OF_MIXED, "mixed")):
        if log.endswith(ending):
            return f"dump_{kind}_{log.removesuffix(ending)}"
    return f"dump_{variant}_{log}"


def work_of(rule: str, wildcards: Sequence[str]) -> str:
    """The comment that Snakemake's Slurm plugin gives the job of a rule."""
    return f"rule_{rule}" + (f"_wildcards_{'_'.join(wildcards).replace('/', '_')}" if wildcards else "")


def works_like(rule: str, wildcards: Sequence[str], output: Sequence[str]) -> set[str]:
    """Works (see `essence`) of all jobs that may write what this one will: its own, of dumps also others.

    Settings decide which cells are dumped by one job. So a dump may be under way cell by cell, or in a bundle whose
    members are not known here, beyond that they have its model, if not its method and scheme too.
    """
    match = _CELLS.fullmatch(rule)
    if match is None:
        return {work_of(rule, wildcards)}
    data = match[1] or match[2]
    works: set[str] = set()
    for cell in filter(None, map(cell_of, output)):
        shared = [cell.model, cell.method, cell.scheme]
        works |= {work_of(rule_of_one(data), [*shared, cell.calibration, str(cell.seed)])}
        works |= {work_of(f"dump_cells_{data}", shared), work_of(f"{MIXED}{data}", shared[:1])}
    return works


def essence(work: str) -> str:
    """The work without what tells one bundle of dumps from another whose wildcards it shares."""
    return _BUNDLE.sub(r"\1\2", work)
