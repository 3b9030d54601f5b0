"""Values that specs hold, worked out from settings and wildcards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from polyprune.grammar.benchmarks import BENCHMARKS
from polyprune.grammar.methods import METHODS
from polyprune.grammar.paths import DENSE, Cell
from polyprune.provenance import code_digest
from polyprune.settings.config import Settings
from polyprune.settings.models import NO_TOKEN, PUBLISHED, TextSettings, TrainedSource
from polyprune.settings.text import DemoCorpus
from polyprune.workflow.wildcards import Wildcards


def framing(text: TextSettings, packed: bool) -> dict[str, str]:
    """What stands around documents: it matters for packed text only, and tokens only if that is framed by them."""
    framed = packed and text.framing != PUBLISHED
    return {
        "framing": text.framing if packed else "documents",
        "bos": text.bos if framed else NO_TOKEN,
        "separator": text.separator if framed else NO_TOKEN,
    }


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
    return titles_of(settings, settings.studies[study].all_cells(), benchmarks_of(settings, study))


def benchmarks_of(settings: Settings, study: str) -> list[str]:
    """Those of all its tables."""
    tables = settings.studies[study].tables.values()
    return sorted({benchmark for table in tables for benchmark in table.benchmarks})


CODES: dict[str, tuple[str, ...]] = {}
"""What each code digest that was asked for was taken of: stage and plugins."""


def code_of(stage: str, *plugins: str) -> str:
    """The digest of a stage's code, with the plugins that it takes by name."""
    code = code_digest(stage, *plugins)
    CODES[code] = (stage, *plugins)
    return code
