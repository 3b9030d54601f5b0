"""What types cannot say: names that must exist, values that must fit each other.

Each check is of one entry. It asks of another what it needs to know, and is silent where the other is wrong itself.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from polyprune.grammar.benchmarks import BENCHMARKS, GENERATED, Benchmark, columns
from polyprune.grammar.calibrations import is_single_language, parse_calibration
from polyprune.grammar.languages import DEMO_LANGUAGES
from polyprune.grammar.methods import takes, why_not
from polyprune.grammar.paths import OF_RESULTS, OF_STUDIES, ORIGIN, PAPER, Cell, origin_of
from polyprune.grammar.reports import DRAWINGS, TABLES
from polyprune.grammar.schemes import parse_scheme
from polyprune.grammar.spelling import SpellingError, nearest
from polyprune.settings.calibrations import require_cell
from polyprune.settings.entries import Entries, GridEntry, StudyEntry
from polyprune.settings.imports import Imports
from polyprune.settings.models import Model, TrainedSource
from polyprune.settings.problems import Problem
from polyprune.settings.studies import Figure, Table
from polyprune.settings.text import Corpus, DemoCorpus, DemoPrompts, FilesCorpus, Prompts, PromptsCorpus, TmxCorpus
from polyprune.settings.yaml_lines import Place

_OF_PAPER = re.compile(rf"(table|figure)\d+|{'|'.join((*OF_STUDIES, *OF_RESULTS, PAPER, 'results'))}")
"""What lies in `results/` itself, without endings: no model or study is called so (`paper` is the root, and
places are counted from the last folder `results` of a path)."""


def inconsistencies(entries: Entries) -> Iterator[Problem]:
    """All of them, section by section."""
    yield from _folders_of_two(entries)
    for name, corpus in entries.corpora.items():
        if corpus is not None:
            yield from _of_corpus(corpus, ("corpora", name), entries)
    for name, prompts in entries.prompts.items():
        if name in entries.corpora:
            yield ("prompts", name), f"{name!r} is also a corpus; both would write to hidden_states/{name}/"
        if prompts is not None:
            yield from _of_prompts(prompts, ("prompts", name))
    for name, model in entries.models.items():
        if model is not None:
            yield from _of_model(model, ("models", name), entries)
    for origin, imports in entries.imports.items():
        if imports is not None:
            yield from _of_imports(imports, origin, entries)
    for name, study in entries.studies.items():
        if study is not None:
            yield from _of_study(study, ("studies", name), entries)


def _unknown(names: Mapping[int, str] | list[str], known: Collection[str], place: Place) -> Iterator[Problem]:
    """Those of a list's names that are not known."""
    for index, name in names.items() if isinstance(names, Mapping) else enumerate(names):
        if name not in known:
            yield (*place, index), f"{name!r} is {nearest(name, known)}"


def _folders_of_two(entries: Entries) -> Iterator[Problem]:
    """Names that would share a folder of results/."""
    for name in sorted(entries.models.keys() & entries.studies.keys()):
        yield ("studies", name), f"{name!r} is also a model; both would write to results/{name}/"
    for kind, names in (("models", list(entries.models)), ("studies", sorted(entries.studies.keys() - {PAPER}))):
        for name in names:
            if _OF_PAPER.fullmatch(name.split(".")[0]):
                yield (kind, name), f"{name!r} is the name of a folder or file of results/; choose another"


def _of_corpus(corpus: Corpus, place: Place, entries: Entries) -> Iterator[Problem]:
    if isinstance(corpus, FilesCorpus | TmxCorpus | PromptsCorpus):
        total = corpus.shares.train + corpus.shares.calibration + corpus.shares.evaluation
        if abs(total - 1) > 1e-9:
            yield (*place, "shares"), f"train + calibration + evaluation must be 1, they are {total:g}"
    if isinstance(corpus, DemoCorpus):
        yield from _unknown(corpus.languages, DEMO_LANGUAGES, (*place, "languages"))
    if isinstance(corpus, PromptsCorpus):
        if corpus.prompts not in entries.prompts:
            yield (*place, "prompts"), f"{corpus.prompts!r} is {nearest(corpus.prompts, entries.prompts)}"
        elif prompts := entries.prompts[corpus.prompts]:
            yield from _unknown(corpus.languages, prompts.languages, (*place, "languages"))


def _of_prompts(prompts: Prompts, place: Place) -> Iterator[Problem]:
    if isinstance(prompts, DemoPrompts):
        yield from _unknown(prompts.languages, DEMO_LANGUAGES, (*place, "languages"))


def _of_model(model: Model, place: Place, entries: Entries) -> Iterator[Problem]:
    text, shape = model.text, model.known_sizes
    if text.corpus not in entries.corpora:
        yield (*place, "text", "corpus"), f"{text.corpus!r} is {nearest(text.corpus, entries.corpora)}"
    for name in text.sampling_of:
        if name not in entries.corpora:
            yield (*place, "text", "sampling_of", name), f"{name!r} is {nearest(name, entries.corpora)}"
        elif name == text.corpus:
            yield (*place, "text", "sampling_of", name), "it is the model's own corpus, of which `sampling` speaks"
    if shape and text.sequence_length > shape.max_positions:
        beyond = f"{text.sequence_length} is beyond the model's {shape.max_positions} positions"
        yield (*place, "text", "sequence_length"), beyond
    if model.prompts is not None and model.prompts not in entries.prompts:
        yield (*place, "prompts"), f"{model.prompts!r} is {nearest(model.prompts, entries.prompts)}"
    if model.shape and not model.shape.divides:
        yield (*place, "shape"), "hidden must be a multiple of heads where no `head` is given, and heads of kv_heads"
    if isinstance(model.source, TrainedSource):
        yield from _of_training(model, model.source, place, entries.corpora.get(text.corpus))


def _of_training(model: Model, source: TrainedSource, place: Place, corpus: Corpus | None) -> Iterator[Problem]:
    """What a model needs that is trained here; `corpus` is None where it is not known."""
    if corpus is not None and not corpus.trains:
        yield (*place, "text", "corpus"), f"corpus {model.text.corpus!r} has no training part"
    if model.shape is None:
        yield (*place, "shape"), "a model that is trained here needs one"
    elif source.vocabulary != model.shape.vocabulary:
        yield (*place, "source", "vocabulary"), f"differs from shape.vocabulary {model.shape.vocabulary}"
    for language in source.outlier_languages:
        if corpus is not None and language not in corpus.languages:
            outlier = (*place, "source", "outlier_languages", language)
            yield outlier, f"{language!r} is {nearest(language, corpus.languages)}"


def _of_imports(imports: Imports, origin: str, entries: Entries) -> Iterator[Problem]:
    """What a checkpoint is said to be has to fit its model."""
    for each in imports.listed:
        written = each in imports.cells
        place: Place = (
            ("imports", origin, "cells", imports.cells.index(each)) if written else ("imports", origin, "table")
        )
        what, scheme = "" if written else f"{each.name}: ", parse_scheme(each.scheme)
        model = entries.models.get(each.model)
        if each.model not in entries.models:
            yield (
                (*place, "model") if written else place,
                f"{what}{each.model!r} is {nearest(each.model, entries.models)}",
            )
        elif model and (sizes := model.known_sizes) and (reason := sizes.why_not(scheme)):
            yield place, f"{what}{each.model} does not take {each.scheme!r}: {reason}"
        if not takes(method := each.cell(origin).method, scheme):
            yield place, f"{what}{method} does not take {each.scheme!r}: {why_not(method)}"


def _of_checkpoints(grid: GridEntry, place: Place, entries: Entries) -> Iterator[Problem]:
    """Cells of checkpoints are listed, by an origin that there is."""
    for index, method in grid.methods.items():
        origin = origin_of(method)
        if origin is None:
            continue
        if origin not in entries.imports:
            yield (
                (*place, "methods", index),
                f"{method!r}: {origin!r} is {nearest(origin, entries.imports)} of `imports`",
            )
        elif (imports := entries.imports[origin]) and not grid.only_listed:
            listed = {each.cell(origin) for each in imports.listed}
            if lacking := [cell for cell in grid.cells() if cell.method == method and cell not in listed]:
                more = f" (and {len(lacking) - 1} more)" if len(lacking) > 1 else ""
                yield (
                    (*place, "methods", index),
                    f"imports.{origin} lists no checkpoint for {lacking[0].model}/{lacking[0].variant}{more}; list it, "
                    "or say `only_listed: true` to leave such cells out",
                )


def _of_study(study: StudyEntry, place: Place, entries: Entries) -> Iterator[Problem]:
    for name, table in study.tables.items():
        if table is not None:
            yield from _of_table(table, (*place, "tables", name), study, entries)
    for name, figure in study.figures.items():
        if figure is not None:
            yield from _of_figure(figure, (*place, "figures", name), study, entries)
    for name, grid in study.grids.items():
        yield from _of_grid(grid, (*place, "grids", name), entries)


def _of_table(table: Table, place: Place, study: StudyEntry, entries: Entries) -> Iterator[Problem]:
    yield from _unknown(table.grids, study.grids, (*place, "grids"))
    yield from _unknown(table.references, study.grids, (*place, "references"))
    if bool(table.benchmarks) != (table.report == "benchmarks"):
        yield (*place, "benchmarks"), "a table that reports benchmarks lists them, others do not"
    models = [each for name in table.grids if name in study.grids for each in _models_of(study.grids[name], entries)]
    for index, benchmark in enumerate(table.benchmarks):
        known_ones = BENCHMARKS | entries.benchmarks
        if benchmark not in known_ones:
            yield (*place, "benchmarks", index), f"{benchmark!r} is {nearest(benchmark, known_ones)}"
            continue
        if (asked := known_ones[benchmark]) is None:
            continue
        made = asked if isinstance(asked, Benchmark) else asked.made(benchmark)
        for name, corpus in {name: entries.corpora.get(model.text.corpus) for name, model in models}.items():
            source = "demo" if isinstance(corpus, DemoCorpus) and made.asked is None else "hub"
            if source == "demo" and benchmark not in GENERATED:
                yield (*place, "benchmarks", index), f"the demo has no {benchmark}, and {name} is on its text"
                break
            if corpus is not None and not columns(made, source, corpus.languages):
                known = sorted({column.language for column in columns(made, source)})
                yield (
                    (*place, "benchmarks", index),
                    f"{benchmark} is in none of {name}'s languages ({', '.join(sorted(corpus.languages))}), only in "
                    f"{', '.join(known)}",
                )
    if TABLES[table.report].measurements == "mask_iou":
        yield from _of_masks(table.grids, (*place, "grids"), study)
    if table.report == "same_masks":
        for index, name in enumerate(table.grids):
            methods = set(study.grids[name].methods.values()) if name in study.grids else set[str]()
            if methods and not any(
                at and plain in methods for plain, at, _ in (one.partition(ORIGIN) for one in methods)
            ):
                both = "masks of checkpoints are compared with our own: list a method twice, as wanda and wanda@paper"
                yield (*place, "grids", index), f"{both}, in grid {name!r}"


def _of_masks(grids: list[str], place: Place, study: StudyEntry) -> Iterator[Problem]:
    """Masks are compared between seeds: each calibration needs the same two or more."""
    for index, name in enumerate(grids):
        if name in study.grids and len(study.grids[name].seeds) == 1:
            yield (*place, index), f"masks of several seeds are compared, and grid {name!r} has one; list more `seeds`"


def _of_grid(grid: GridEntry, place: Place, entries: Entries) -> Iterator[Problem]:
    yield from _unknown(grid.models, entries.models, (*place, "models"))
    yield from _of_checkpoints(grid, place, entries)
    models = _models_of(grid, entries)
    corpora = {name: corpus for name, corpus in entries.corpora.items() if corpus is not None}
    refused = entries.corpora.keys() - corpora.keys()
    for index, calibration in grid.calibrations.items():
        for name, model in models:
            if {model.text.corpus, *parse_calibration(calibration).corpora} & refused:
                continue
            if model.text.corpus in corpora:
                try:
                    for scheme in grid.schemes.values():
                        require_cell(parse_scheme(scheme), calibration, model, corpora)
                except SpellingError as error:
                    yield (*place, "calibrations", index), f"{error} (model {name})"
    for index, scheme in grid.schemes.items():
        for name, model in models:
            if (sizes := model.known_sizes) and (reason := sizes.why_not(parse_scheme(scheme))):
                yield (*place, "schemes", index), f"{name} does not take {scheme!r}: {reason}"
        for method in grid.methods.values():
            if origin_of(method) is None and not takes(method, parse_scheme(scheme)):
                yield (*place, "schemes", index), f"{method} does not take {scheme!r}: {why_not(method)}"


def _models_of(grid: GridEntry, entries: Entries) -> list[tuple[str, Model]]:
    """The models of a grid of which anything is known, by name."""
    return [(name, model) for name in grid.models.values() if (model := entries.models.get(name))]


def _of_figure(figure: Figure, place: Place, study: StudyEntry, entries: Entries) -> Iterator[Problem]:
    """What a figure needs of its grids."""
    yield from _unknown(figure.grids, study.grids, (*place, "grids"))
    grids = [study.grids[name] for name in figure.grids if name in study.grids]
    cells = [cell for grid in grids for cell in grid.cells()]
    models = {name: model for grid in grids for name, model in _models_of(grid, entries)}
    kind = DRAWINGS[figure.draws]
    several_methods = not kind.of_dense and len({cell.method for cell in cells}) > 1
    if several_methods or len({cell.model for cell in cells}) > 1:
        yield (*place, "grids"), "a figure draws one model" + ("" if kind.of_dense else " and one method")
    for name, model in models.items():
        for index, layer in enumerate(figure.layers):
            if (sizes := model.known_sizes) and layer > sizes.layers:
                yield (*place, "layers", index), f"{name} has {sizes.layers} layers, counted from 1"
    if kind.measurements == "mask_iou":
        yield from _of_masks(figure.grids, (*place, "grids"), study)
    if (figure.matrix is not None) != (figure.draws == "mean_activations"):
        yield (*place, "matrix"), "mean_activations draws one matrix, other figures none"
    if not kind.of_dense and len({cell.scheme for cell in cells}) > kind.schemes:
        most = "one scheme" if kind.schemes == 1 else f"at most {kind.schemes} schemes"
        yield (*place, "grids"), f"{figure.draws} draws {most}"
    if kind.measurements == "lsar":
        for name, model in models.items():
            yield from _of_prompt_figure(figure, place, name, model, entries)
    if kind.measurements == "mean_activations":
        yield from _of_activation_figure(figure, place, cells)
    if kind.measurements in ("lape", "mean_activations") and len({(cell.calibration, cell.seed) for cell in cells}) > 1:
        yield (*place, "grids"), f"{figure.draws} draws one calibration language and one seed"


def _of_prompt_figure(figure: Figure, place: Place, name: str, model: Model, entries: Entries) -> Iterator[Problem]:
    """What a figure of language-specific subspaces needs of a model's prompts."""
    if model.prompts is None:
        yield (*place, "draws"), f"{figure.draws} needs `prompts` of model {name}"
    elif prompts := entries.prompts.get(model.prompts):
        if len(prompts.languages) < 2:
            yield (*place, "draws"), f"{figure.draws} needs prompts in two languages at least"
        elif figure.rank is not None and figure.rank >= len(prompts.languages):
            yield (*place, "rank"), f"at most {len(prompts.languages) - 1}, one less than the languages"


def _of_activation_figure(figure: Figure, place: Place, cells: list[Cell]) -> Iterator[Problem]:
    if len(figure.layers) != 1:
        yield (*place, "layers"), f"{figure.draws} draws one layer"
    if not all(is_single_language(cell.calibration) for cell in cells):
        yield (*place, "grids"), f"{figure.draws} evaluates in the calibration language: one language, no mix"
