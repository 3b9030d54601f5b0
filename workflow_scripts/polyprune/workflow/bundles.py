"""Jobs that dump hidden states: which cells share one, and what the name of such a job says. No torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from polyprune.grammar.paths import Cell


def record_key(rule: str, wildcards: Mapping[str, str]) -> tuple[str, str, str]:
    """Jobs that cost alike: rule (of an evaluation with its benchmark, all bundles of dumps are one), model, method."""
    if "benchmark" in wildcards:
        rule = f"evaluate_{wildcards['benchmark']}"
    if rule.startswith("dump_cells_"):
        rule = rule.rpartition("_")[0]
    return rule, wildcards.get("model", ""), wildcards.get("method", "")


def bundles(cells: Iterable[Cell], size: int) -> list[list[Cell]]:
    """Cells whose dumps one job makes: up to `size` of a model, method and scheme, neighbours by seed and calibration.

    Cells without a neighbour are in no bundle. The order does not depend on the order of `cells`; a higher seed changes
    no bundle but the last.
    """
    ordered = sorted(set(cells), key=lambda cell: (cell.model, cell.method, cell.scheme, cell.seed, cell.calibration))
    found: list[list[Cell]] = []
    for _, group in groupby(ordered, key=lambda cell: (cell.model, cell.method, cell.scheme)):
        members = list(group)
        found += [members[start : start + size] for start in range(0, len(members), size)]
    return [bundle for bundle in found if len(bundle) > 1]


def work_of(rule: str, wildcards: Sequence[str]) -> str:
    """The comment that the plugin gives the job of a rule."""
    return f"rule_{rule}" + (f"_wildcards_{'_'.join(wildcards).replace('/', '_')}" if wildcards else "")


_CELLS = re.compile(r"dump_cell_(.+)|dump_cells_(.+)_[0-9a-f]+")
_BUNDLE = re.compile(r"(rule_dump_cells_.+)_[0-9a-f]+(_wildcards_.+)")


def works_like(rule: str, wildcards: Sequence[str], output: Sequence[str]) -> set[str]:
    """Works (see `essence`) of all jobs that may write what this one will: its own, of dumps also others.

    Settings decide which cells are dumped by one job. So a dump may be under way cell by cell, or in a bundle whose
    members are not known here, beyond that they have its model, method and scheme: its first three wildcards.
    """
    match = _CELLS.fullmatch(rule)
    if match is None:
        return {work_of(rule, wildcards)}
    data, shared = match[1] or match[2], list(wildcards)[:3]
    cells = {(calibration, seed) for _, _, _, _, calibration, seed, *_ in (path.split("/") for path in output)}
    alone = {work_of(f"dump_cell_{data}", [*shared, name, seed.removeprefix("seed")]) for name, seed in cells}
    return {work_of(f"dump_cells_{data}", shared), *alone}


def essence(work: str) -> str:
    """The work without what tells one bundle of dumps of a model, method and scheme from another."""
    return _BUNDLE.sub(r"\1\2", work)
