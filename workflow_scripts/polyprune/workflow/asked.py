"""Of which cells a run will dump hidden states: those whose measurements its targets show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from polyprune.grammar.methods import artifact_of
from polyprune.grammar.paths import OF_STUDIES, PAPER, Cell, cell_of
from polyprune.settings.config import Settings
from polyprune.workflow.inputs import Inputs
from polyprune.workflow.targets import PAGE, check_target, passes

SCORES = {"drift": ("perplexity.parquet", "drift.parquet"), "lsar": ("lsar.parquet",)}
"""Files of a cell that come from its dumps, by what tables and figures of them are made from."""


def targets_in(argv: Sequence[str], settings: Settings) -> list[str]:
    """Targets among the words of Snakemake's command line; the default one if there is none.

    Without those that misspell the grammar: they are refused when all rules are read.
    """
    named = [word for word in argv if word in settings.studies or word.startswith("results/")]
    return [word for word in named if passes(check_target, word, settings)] if named else [PAPER]


def compressed(inputs: Inputs, targets: Iterable[str]) -> Iterator[Cell]:
    """Cells whose compressed weights are among the targets, or of a study that is."""
    for target in targets:
        if target in inputs.settings.studies:
            yield from inputs.settings.studies[target].all_cells()
        elif (cell := cell_of(target)) and target == artifact_of(cell):
            yield cell


def measured(inputs: Inputs, targets: Iterable[str], measurements: str) -> Iterator[Cell]:
    """Cells of which the targets show these measurements, once or more often."""
    for target in targets:
        cell = cell_of(target)
        if cell and target in (f"{cell.folder}/{score}" for score in SCORES[measurements]):
            yield cell
        for study, name in _shown(inputs, target):
            if inputs.kind(study, name).measurements == measurements:
                yield from inputs.settings.studies[study].cells(name)


def _shown(inputs: Inputs, target: str) -> list[tuple[str, str]]:
    """(study, table or figure) of what a target shows."""
    if target in inputs.settings.studies:
        return _of_study(inputs, target, figures=True)
    parts = target.split("/")
    study, stem = (parts[1] if len(parts) > 2 else PAPER), parts[-1].split(".")[0]
    if study not in inputs.settings.studies or len(parts) > 3:
        return []
    if parts[-1] == PAGE:
        return _of_study(inputs, study, figures=True)
    if stem in OF_STUDIES:  # which are made from all tables
        return _of_study(inputs, study, figures=False)
    return [entry for entry in _of_study(inputs, study, figures=True) if entry[1] == stem]


def _of_study(inputs: Inputs, study: str, figures: bool) -> list[tuple[str, str]]:
    everything = [*inputs.tables(), *(inputs.figures() if figures else ())]
    return [entry for entry in everything if entry[0] == study]
