"""What types cannot say: names that must exist, values that must fit each other."""

from __future__ import annotations

from collections.abc import Iterator

from polyprune.grammar.methods import takes, why_not
from polyprune.grammar.reports import DRAWINGS
from polyprune.grammar.schemes import parse_calibration, parse_scheme
from polyprune.grammar.spelling import SpellingError, nearest
from polyprune.settings.config import Settings
from polyprune.settings.models import Model, TrainedSource
from polyprune.settings.problems import Problem
from polyprune.settings.studies import (
    Study,
)
from polyprune.settings.text import (
    DEMO_LANGUAGES,
    DemoCorpus,
    DemoPrompts,
    FilesCorpus,
)
from polyprune.settings.yaml_lines import Place

RESERVED_NAMES = ("benchmarks", "corpora", "mask_iou", "paper", "prompts")
"""Folders of `results/` that a model or a study cannot be called after (`paper` has no folder: it is the root)."""


def inconsistencies(settings: Settings) -> Iterator[Problem]:
    """What types cannot say: names that must exist, values that must fit each other."""
    for name in sorted(set(settings.models) & set(settings.studies)):
        yield ("studies", name), f"{name!r} is also a model; both would write to results/{name}/"
    for kind, names in (("models", settings.models), ("studies", sorted(set(settings.studies) - {"paper"}))):
        for name in names:
            if name in RESERVED_NAMES:
                yield (kind, name), f"{name!r} is the name of a folder of results/; choose another"
    for name, corpus in settings.corpora.items():
        if isinstance(corpus, FilesCorpus):
            total = corpus.shares.train + corpus.shares.calibration + corpus.shares.evaluation
            if abs(total - 1) > 1e-9:
                yield ("corpora", name, "shares"), f"train + calibration + evaluation must be 1, they are {total:g}"
        if isinstance(corpus, DemoCorpus):
            for index, language in enumerate(corpus.languages):
                if language not in DEMO_LANGUAGES:
                    yield ("corpora", name, "languages", index), f"{language!r} is {nearest(language, DEMO_LANGUAGES)}"
    for name, prompts in settings.prompts.items():
        if name in settings.corpora:
            yield ("prompts", name), f"{name!r} is also a corpus; both would write to hidden_states/{name}/"
        for index, language in enumerate(prompts.languages if isinstance(prompts, DemoPrompts) else []):
            if language not in DEMO_LANGUAGES:
                yield ("prompts", name, "languages", index), f"{language!r} is {nearest(language, DEMO_LANGUAGES)}"
    for name, model in settings.models.items():
        yield from _model_inconsistencies(settings, name, model)
    for name, study in settings.studies.items():
        yield from _study_inconsistencies(settings, name, study)


def _model_inconsistencies(settings: Settings, name: str, model: Model) -> Iterator[Problem]:
    place = ("models", name)
    if model.text.corpus not in settings.corpora:
        yield (*place, "text", "corpus"), f"{model.text.corpus!r} is {nearest(model.text.corpus, settings.corpora)}"
        return
    if model.text.sequence_length > model.shape.max_positions:
        yield (
            (*place, "text", "sequence_length"),
            f"{model.text.sequence_length} is beyond the model's {model.shape.max_positions} positions",
        )
    if model.prompts is not None and model.prompts not in settings.prompts:
        yield (*place, "prompts"), f"{model.prompts!r} is {nearest(model.prompts, settings.prompts)}"
    if model.shape.hidden % model.shape.heads or model.shape.heads % model.shape.kv_heads:
        yield (*place, "shape"), "hidden must be a multiple of heads, and heads of kv_heads"
    if isinstance(model.source, TrainedSource):
        corpus = settings.corpora[model.text.corpus]
        trains = isinstance(corpus, DemoCorpus) or (isinstance(corpus, FilesCorpus) and corpus.shares.train > 0)
        if not trains:
            yield (*place, "text", "corpus"), f"corpus {model.text.corpus!r} has no training part"
        if model.source.vocabulary != model.shape.vocabulary:
            yield (*place, "source", "vocabulary"), f"differs from shape.vocabulary {model.shape.vocabulary}"
        for language in model.source.outlier_languages:
            if language not in corpus.languages:
                yield (
                    (*place, "source", "outlier_languages", language),
                    f"{language!r} is {nearest(language, corpus.languages)}",
                )


def _study_inconsistencies(settings: Settings, name: str, study: Study) -> Iterator[Problem]:
    for table, spec in study.tables.items():
        for index, grid in enumerate(spec.grids):
            if grid not in study.grids:
                yield ("studies", name, "tables", table, "grids", index), f"{grid!r} is {nearest(grid, study.grids)}"
        if bool(spec.benchmarks) != (spec.report == "benchmarks"):
            yield (
                ("studies", name, "tables", table, "benchmarks"),
                "a table that reports benchmarks lists them, others do not",
            )
    for figure, drawn in study.figures.items():
        for index, grid in enumerate(drawn.grids):
            if grid not in study.grids:
                yield ("studies", name, "figures", figure, "grids", index), f"{grid!r} is {nearest(grid, study.grids)}"
        if all(grid in study.grids for grid in drawn.grids):
            yield from _figure_inconsistencies(settings, study, figure, ("studies", name, "figures", figure))
    for grid_name, grid in study.grids.items():
        place = ("studies", name, "grids", grid_name)
        known = [
            model
            for model in grid.models
            if model in settings.models and settings.models[model].text.corpus in settings.corpora
        ]
        for index, model in enumerate(grid.models):
            if model not in settings.models:
                yield (*place, "models", index), f"{model!r} is {nearest(model, settings.models)}"
        for index, calibration in enumerate(grid.calibrations):
            for model in known:
                try:
                    parse_calibration(calibration, settings.languages_of(model))
                except SpellingError as error:
                    yield (*place, "calibrations", index), f"{error} (languages of {model}'s corpus)"
        for index, scheme in enumerate(grid.schemes):
            for model in known:
                if reason := settings.models[model].shape.why_not(parse_scheme(scheme)):
                    yield (*place, "schemes", index), f"{model} does not take {scheme!r}: {reason}"
            for method in grid.methods:
                if not takes(method, parse_scheme(scheme)):
                    yield (
                        (*place, "schemes", index),
                        f"{method} does not take {scheme!r}: {why_not(method)}",
                    )


def _figure_inconsistencies(settings: Settings, study: Study, name: str, place: Place) -> Iterator[Problem]:
    """What a figure needs of its cells; models that do not exist are complained about elsewhere."""
    figure, cells = study.figures[name], study.cells(name)
    models = [name for name in dict.fromkeys(cell.model for cell in cells) if name in settings.models]
    if len({cell.model for cell in cells}) > 1 or len({cell.method for cell in cells}) > 1:
        yield (*place, "grids"), "a figure draws one model and one method"
    for model in models:
        deep = settings.models[model].shape.layers
        for index, layer in enumerate(figure.layers):
            if layer > deep:
                yield (*place, "layers", index), f"{model} has {deep} layers, counted from 1"
    if (figure.matrix is not None) != (figure.draws == "mean_activations"):
        yield (*place, "matrix"), "mean_activations draws one matrix, other figures none"
    if DRAWINGS[figure.draws].measurements == "lsar":
        for model in models:
            prompts = settings.prompts.get(settings.models[model].prompts or "")
            if prompts is None:
                yield (*place, "draws"), f"{figure.draws} needs `prompts` of model {model}"
            elif len(prompts.languages) < 2:
                yield (*place, "draws"), f"{figure.draws} needs prompts in two languages at least"
            elif figure.rank is not None and figure.rank >= len(prompts.languages):
                yield (*place, "rank"), f"at most {len(prompts.languages) - 1}, one less than the languages"
        if len({cell.scheme for cell in cells}) > 1:
            yield (*place, "grids"), f"{figure.draws} draws one scheme"
    if figure.draws == "mean_activations":
        if len(figure.layers) != 1:
            yield (*place, "layers"), "mean_activations draws one layer"
        if any("-" in cell.calibration for cell in cells):
            yield (*place, "grids"), "mean_activations evaluates in the calibration language: one language, no mix"
    alone = DRAWINGS[figure.draws].measurements in ("lape", "mean_activations")
    if alone and len({(cell.calibration, cell.seed) for cell in cells}) > 1:
        yield (*place, "grids"), f"{figure.draws} draws one calibration language and one seed"
