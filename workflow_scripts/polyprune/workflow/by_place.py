"""What the many files of a table, figure or answer were to be made with, in few words: by patterns of their places.

    {"tiny/*/perplexity.parquet tiny/*/drift.parquet": {…}, "tiny/wanda/0.50/*/drift.parquet": {…}}

A key is one or more patterns. What all variants of a model have in common is said once, and of the cells of each method
and scheme only the rest: a command is one argument, of which Linux allows 128 KiB. A file must have the entries of
every key that matches it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from typing import Any

from polyprune.grammar.calibrations import parse_calibration
from polyprune.grammar.paths import Cell, origin_of, study_path
from polyprune.grammar.reports import Kind
from polyprune.provenance import canonical_json
from polyprune.settings.config import Settings
from polyprune.workflow.made_with import Entries, MadeWith
from polyprune.workflow.wildcards import Wildcards

Made = Callable[[Wildcards], Entries]
_OWN = ("code", "job", "made_with")
"""Entries of a spec that those who read what is made with it do not compare: `made_with` has a digest beside it."""


class ByPlace:
    """Of a study's files."""

    def __init__(self, settings: Settings, made_with: MadeWith) -> None:
        self.settings, self.made_with = settings, made_with

    def of_report(self, study: str, name: str, kind: Kind) -> Entries:
        """What a table or figure is made from, and the items behind it."""
        entry = self.settings.studies[study]
        cells = entry.cells(name)
        benchmarks = entry.tables[name].benchmarks if name in entry.tables else []
        grids = entry.tables[name].grids if name in entry.tables else entry.figures[name].grids
        match kind.measurements:
            case "drift":
                return self.scores(cells) | self.dumps(cells)
            case "evaluation":
                return self.evaluations(cells, benchmarks)
            case "mask_iou" | "mask_agreement":
                return self.overlaps(study, grids, kind.measurements)
            case measured:
                made: Made = getattr(self.made_with, measured)
                return _by_variant(cells, (f"{measured}.parquet", f"{measured}/*.parquet"), made)

    def scores(self, cells: Iterable[Cell]) -> Entries:
        """Perplexity and drift."""
        return _by_variant(cells, ("perplexity.parquet", "drift.parquet"), self.made_with.drift)

    def dumps(self, cells: Iterable[Cell]) -> Entries:
        """Hidden states of the models' corpora."""
        cells, found = list(cells), {}
        for model in dict.fromkeys(cell.model for cell in cells):
            files = f"hidden_states/{self.settings.models[model].text.corpus}/*.h5"
            of_model = [cell for cell in cells if cell.model == model]
            found |= _by_variant(of_model, (files,), self._dump)
        return found

    def _dump(self, wildcards: Wildcards) -> Entries:
        return {"provenance": self.made_with.dump(wildcards)}

    def evaluations(self, cells: Iterable[Cell], benchmarks: Iterable[str]) -> Entries:
        """Scores of benchmarks, and answers."""
        cells = list(cells)
        found = _by_variant(cells, ("evaluation/*.parquet",), lambda at: {"inputs": self.made_with.of_variant(at)})
        for model in dict.fromkeys(cell.model for cell in cells):
            for benchmark in benchmarks:
                asked = self.made_with.evaluation({"model": model, "benchmark": benchmark})
                files = (f"evaluation/{benchmark}.parquet", f"evaluation/items/{benchmark}.parquet")
                found[_patterns(f"{model}/*", files)] = asked | {"inputs": {"data": asked["inputs"]["data"]}}
        return _grouped(found)

    def overlaps(self, study: str, grids: Iterable[str], measurements: str) -> Entries:
        """How far masks agree."""
        of_grids = self.settings.studies[study].grids
        return {
            _place(study, f"{measurements}/{grid}.parquet"): self.made_with.mask_iou(of_grids[grid].cells())
            for grid in grids
        }

    def prompts(self, models: Iterable[str]) -> Entries:
        """Prompts in models' tokens."""
        asked = [model for model in models if self.settings.models[model].prompts]
        return {f"{model}/prompts/*": self.made_with.prompt_set(model) for model in asked}


def of_study(study: str, specs: Mapping[str, str]) -> Entries:
    """Files in a study's folder by name, from the specs of their jobs."""
    found = {_place(study, file): json.loads(spec) for file, spec in specs.items()}
    return {place: {name: spec[name] for name in spec if name not in _OWN} for place, spec in found.items()}


def _by_variant(cells: Iterable[Cell], files: Iterable[str], made: Made) -> Entries:
    """Of files in the folders of variants: what all of a model have, and those of a method and scheme beyond.

    Also those of a calibration, where calibrations ask different things of the model, and of each checkpoint.
    """
    found: Entries = {}
    cells = list(cells)
    for block in {(cell.model, cell.method, cell.scheme): cell for cell in cells}.values():
        of_model = made({"model": block.model})
        found[_patterns(f"{block.model}/*", files)] = of_model
        names = {name: getattr(block, name) for name in ("model", "method", "scheme")}
        folder = "/".join(names.values())
        kinds = _kinds(cells, block)
        of_kind = {kind: made(names | {"calibration": alike[0]}) for kind, alike in kinds.items()}
        of_block = reduce(_common, of_kind.values())
        if more := _beyond(of_block, of_model):
            found[_patterns(f"{folder}/*", files)] = more
        for kind, entries in of_kind.items():
            if more := _beyond(_beyond(entries, of_model), of_block):
                found |= {_patterns(f"{folder}/{calibration}/*", files): more for calibration in kinds[kind]}
    for cell in (cell for cell in cells if origin_of(cell.method) is not None):
        alone = {name: str(value) for name, value in vars(cell).items()}
        if more := _beyond(made(alone), made({name: alone[name] for name in ("model", "method", "scheme")})):
            found[_patterns(f"{cell.model}/{cell.variant}", files)] = more
    return found


def _kinds(cells: Iterable[Cell], block: Cell) -> dict[tuple[Any, ...], list[str]]:
    """Calibrations of the block's cells, those together that ask the same of the model's settings."""
    of_block = (block.model, block.method, block.scheme)
    same = (cell.calibration for cell in cells if (cell.model, cell.method, cell.scheme) == of_block)
    found: dict[tuple[Any, ...], list[str]] = {}
    for calibration in dict.fromkeys(same):
        found.setdefault(parse_calibration(calibration).kind, []).append(calibration)
    return found


def _common(one: Entries, other: Entries) -> Entries:
    """Entries that both have, however deep."""
    found: Entries = {}
    for name in one.keys() & other.keys():
        if isinstance(one[name], dict) and isinstance(other[name], dict):
            found[name] = _common(one[name], other[name])
        elif one[name] == other[name]:
            found[name] = one[name]
    return found


def _grouped(found: Entries) -> Entries:
    """Patterns with the same entries as one."""
    patterns: dict[str, list[str]] = {}
    for pattern, entries in found.items():
        patterns.setdefault(canonical_json(entries), []).append(pattern)
    return {" ".join(of_entries): json.loads(entries) for entries, of_entries in patterns.items()}


def _patterns(folder: str, files: Iterable[str]) -> str:
    return " ".join(f"{folder}/{file}" for file in files)


def _beyond(entries: Entries, known: Entries) -> Entries:
    """Entries that are not known, however deep."""
    found: Entries = {}
    for name, value in entries.items():
        if name in known and isinstance(value, dict) and isinstance(known[name], dict):
            if more := _beyond(value, known[name]):
                found[name] = more
        elif name not in known or known[name] != value:
            found[name] = value
    return found


def _place(study: str, file: str) -> str:
    return study_path(study, file).removeprefix("results/")
