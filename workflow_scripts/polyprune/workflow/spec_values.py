"""Values that specs hold, worked out from settings and wildcards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from polyprune.grammar.columns import OWN_FOLDER, Column
from polyprune.grammar.methods import traits_of
from polyprune.grammar.paths import DENSE, Cell
from polyprune.grammar.reports import Kind
from polyprune.grammar.titles import compression_title, scheme_title
from polyprune.provenance import canonical_json, digest
from polyprune.settings.config import Settings
from polyprune.settings.models import NO_TOKEN, PUBLISHED, TextSettings, TrainedSource
from polyprune.settings.text import DemoCorpus
from polyprune.workflow.known_codes import known_code_digest
from polyprune.workflow.wildcards import Wildcards


def framing(text: TextSettings, packed: bool) -> dict[str, str]:
    """What stands around documents: it matters for packed text only, and tokens only if that is framed by them."""
    framed = packed and text.framing != PUBLISHED
    return {
        "framing": text.framing if packed else "documents",
        "bos": text.bos if framed else NO_TOKEN,
        "separator": text.separator if framed else NO_TOKEN,
    }


def unsampled() -> dict[str, str]:
    """Of shards whose form says how their sequences are made: nothing of this is read."""
    return {"sampling": "packed", "framing": "documents", "bos": NO_TOKEN, "separator": NO_TOKEN}


def variant_of(wildcards: Wildcards) -> dict[str, Any]:
    """The columns that name a variant in score files."""
    names = ("method", "scheme", "calibration")
    seed = wildcards.get("seed")
    return {
        "model": wildcards["model"],
        **{name: wildcards.get(name, DENSE) for name in names},
        "seed": None if seed is None else int(seed),
    }


def cell_at(wildcards: Mapping[str, str]) -> Cell:
    """The cell of a job."""
    seed = int(wildcards["seed"])
    return Cell(wildcards["model"], wildcards["method"], wildcards["scheme"], wildcards["calibration"], seed)


def named_cell(wildcards: Wildcards) -> dict[str, Any]:
    """Its names, as stages that make a cell take them."""
    return {name: wildcards[name] for name in ("method", "scheme", "calibration")} | {"seed": int(wildcards["seed"])}


def place_of_import(cell: Cell) -> tuple[str, ...]:
    """What the folder of a cell's checkpoint is known by (`places.py`)."""
    return ("imports", cell.model, *cell.variant.split("/"))


def plugins_of_evaluation(asked: Mapping[str, Any]) -> list[str]:
    """Modules and tasks that an evaluation takes by name; `asked` is how its questions are put."""
    plugins = {
        "evaluation/cloze.py": asked["profile"] == "cloze",
        "evaluation/vllm_backend.py": asked["generation"] == "vllm",
        f"{OWN_FOLDER}/_mkqa.yaml": asked["mkqa"] is not None,
        **{own: True for column in asked["columns"] if (own := Column(**column).own_yaml)},
    }
    return [plugin for plugin, is_chosen in plugins.items() if is_chosen]


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
        "methods": {cell.method: traits_of(cell.method).title for cell in cells},
        "benchmarks": {benchmark: settings.all_benchmarks[benchmark].title for benchmark in benchmarks},
    }


_MOST_NAMED = 3


def name_in_figure(settings: Settings, cells: Sequence[Cell], kind: Kind) -> str:
    """Of which model a figure of these cells is and, unless it is of dense ones, of which method and schemes.

    Schemes are named if a figure tells only a few apart.
    """
    title, method = settings.models[cells[0].model].title, traits_of(cells[0].method).title
    schemes = sorted({cell.scheme for cell in cells}) if kind.schemes <= _MOST_NAMED else []
    if kind.of_dense:
        return title
    return f"{title}, {compression_title(method, schemes) if schemes else method}"


def page_of_study(settings: Settings, study: str) -> dict[str, Any]:
    """What a study's page says of it beside its results (`report/page/content.py`)."""
    entry = settings.studies[study]
    cells = entry.all_cells()
    schemes: dict[str, dict[str, None]] = {}
    for cell in cells:
        schemes.setdefault(cell.method, {})[cell.scheme] = None
    return {
        "name": study,
        "tables": {name: table.report for name, table in entry.tables.items()},
        "figures": {name: figure.draws for name, figure in entry.figures.items()},
        "methods": {
            traits_of(method).title: _method_in_words(settings, method, asked) for method, asked in schemes.items()
        },
        "cells": len(cells),
        "trained": any(isinstance(settings.models[cell.model].source, TrainedSource) for cell in cells),
        "titles": titles_of_study(settings, study),
    }


def _method_in_words(settings: Settings, method: str, schemes: Iterable[str]) -> str:
    """`Removes weights; those that stay are updated. 50 %, 2:4. damping 0.01`."""
    traits = traits_of(method)
    does = "Rounds weights to few bits" if traits.quantises else "Removes weights"
    if traits.experts:
        return f"Removes whole experts. Schemes: {', '.join(map(scheme_title, schemes))} of each layer's."
    text = f"{does}; those that stay are {'updated' if traits.updates else 'as they were'}. "
    text += f"Schemes: {', '.join(map(scheme_title, schemes))}."
    read = {name: value for scheme in schemes for name, value in settings.compression.read_by(method, scheme).items()}
    said = [f"{name} {canonical_json(value)}" for name, value in sorted(read.items())]
    return f"{text} Settings: {'; '.join(said)}." if said else text


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
    code = known_code_digest(stage, *plugins)
    CODES[code] = (stage, *plugins)
    return code


def spec(stage: str, wildcards: Wildcards, *plugins: str, **values: Any) -> str:
    """A job's spec: its stage's code with the plugins it takes by name, which job it is, and values."""
    job = " ".join([stage, *(value for _, value in wildcards.items())])
    return canonical_json({"code": code_of(stage, *plugins), "job": job, **values})


def with_digest(made_with: dict[str, Any]) -> dict[str, Any]:
    """What inputs are to be made with, and its digest, by which others know what this was made with."""
    return {"made_with": made_with, "made_with_digest": digest(canonical_json(made_with))}
