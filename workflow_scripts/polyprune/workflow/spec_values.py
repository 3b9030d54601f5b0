"""Values that specs hold, worked out from settings and wildcards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from polyprune.grammar.benchmarks import BENCHMARKS
from polyprune.grammar.methods import METHODS
from polyprune.grammar.paths import DENSE, Cell
from polyprune.settings.config import Settings
from polyprune.settings.models import NO_TOKEN, TextSettings, TrainedSource
from polyprune.settings.text import DemoCorpus
from polyprune.workflow.wildcards import Wildcards


def framing(text: TextSettings, packed: bool) -> dict[str, str]:
    """What stands around documents: it matters for packed text only."""
    return {"bos": text.bos, "separator": text.separator} if packed else {"bos": NO_TOKEN, "separator": NO_TOKEN}


def variant_of(wildcards: Wildcards) -> dict[str, Any]:
    """The columns that name a variant in score files."""
    names = ("method", "scheme", "calibration")
    seed = wildcards.get("seed")
    return {
        "model": wildcards["model"],
        **{name: wildcards.get(name, DENSE) for name in names},
        "seed": None if seed is None else int(seed),
    }


def shares_of_training(settings: Settings, models: Iterable[str]) -> dict[str, dict[str, float]]:
    """Of models that are trained here on generated text: each language's share of the training documents."""
    found: dict[str, dict[str, float]] = {}
    for model in models:
        source = settings.models[model].source
        if isinstance(source, TrainedSource) and isinstance(settings.corpus_of(model), DemoCorpus):
            kept = {name: source.outlier_languages.get(name, 1.0) for name in settings.languages_of(model)}
            found[model] = {name: share / sum(kept.values()) for name, share in kept.items()}
    return found


def titles_of(settings: Settings, cells: Sequence[Cell], benchmarks: Iterable[str] = ()) -> dict[str, Any]:
    """Names in print (`grammar/titles.py`) of the cells' models, in their order, and methods, and of the benchmarks."""
    models = dict.fromkeys(cell.model for cell in cells)
    return {
        "models": [[model, settings.models[model].title] for model in models],
        "methods": {cell.method: METHODS[cell.method].title for cell in cells},
        "benchmarks": {benchmark: BENCHMARKS[benchmark].title for benchmark in benchmarks},
    }


def titles_of_study(settings: Settings, study: str) -> dict[str, Any]:
    """Those of all its cells, and of the benchmarks of all its tables."""
    entry = settings.studies[study]
    benchmarks = {benchmark for table in entry.tables.values() for benchmark in table.benchmarks}
    return titles_of(settings, entry.all_cells(), benchmarks)
