"""Paths of results, and the refusal of paths that are not of the grammar."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from polyprune.errors import UserError
from polyprune.grammar.benchmarks import SOURCES
from polyprune.grammar.layouts import PACKED
from polyprune.grammar.methods import METHODS, artifact, takes, why_not
from polyprune.grammar.paths import OF_STUDIES, PAPER, origin_of, study_path
from polyprune.grammar.schemes import MOST_SEED, parse_scheme
from polyprune.grammar.spelling import SpellingError, nearest
from polyprune.settings.calibrations import require_calibration, require_cell
from polyprune.settings.config import Settings

MANIFESTS = ("model.json", "prompting.json")
"""Of a model: what identifies it, and what only prompts and answers read of it besides."""
CHECKPOINT = "checkpoint.json"
"""Of a cell that is read from a checkpoint: where that lies and what identifies it."""
PAGE = "report.html"
"""Of a study, for readers."""
OF_DENSE = ("activation_ranges.parquet",)
"""What only the dense model's folder may hold."""
_ENDINGS = {"table": ("parquet", "md", "png", "json"), "figure": ("pdf", "png", "parquet")}
"""Of a study's files."""
OF_VARIANTS = ("perplexity.parquet", "lape.parquet", "routing.parquet", "hidden_states", "activations", "evaluation")
"""What a model's folder of one variant may hold, the dense one included."""
OF_CELLS = ("drift.parquet", "lsar.parquet", "mean_activations", "export", *(f"export-{layout}" for layout in PACKED))
"""What only a cell's may, beside the cell itself."""


def as_named(words: Iterable[str]) -> list[str]:
    """Words of a command line, of which paths of results are as Snakemake names them: `./results//a` is `results/a`."""
    return [_as_named(word) for word in words]


def _as_named(word: str) -> str:
    path = os.path.relpath(word or ".")
    return path if path.startswith("results/") and not Path(word).is_absolute() else word


def passes(check: Callable[[str, Settings], None], target: str, settings: Settings) -> bool:
    """Whether a check of targets, which would say what is wrong, finds nothing."""
    try:
        check(target, settings)
    except UserError:
        return False
    return True


def check_target(target: str, settings: Settings) -> None:
    """Refuse a target under results/ that misspells the grammar, before Snakemake says only that no rule makes it.

    Raises:
        UserError: names the part, the valid choices and the nearest one.
    """
    parts = target.split("/")
    if parts[0] != "results" or len(parts) < 2:
        return
    try:
        if len(parts) > 2 and parts[1] == PAPER:
            raise SpellingError(f"what is of study {PAPER} lies in results/ itself: type results/{'/'.join(parts[2:])}")
        if not "".join(parts[2:]) and (file := _folders(settings).get(parts[1])):
            raise SpellingError(f"that is a folder: type the name of a file in it, as results/{parts[1]}/{file}")
        if len(parts) == 2:
            _check_study_file(parts[1], PAPER, settings)
        elif parts[1] in settings.studies and parts[1] != PAPER:
            _check_study_file(parts[2], parts[1], settings)
        elif parts[1] in settings.models:
            _check_model_path(parts[1], parts[2:], settings)
        elif parts[1] == "corpora":
            _check_corpus_file(parts[2:], settings)
        elif parts[1] == "benchmarks":
            if parts[2] not in SOURCES:
                raise SpellingError(f"{parts[2]!r} is {nearest(parts[2], SOURCES)}")
            _check_benchmark(parts[3:], settings)
        elif parts[1] == "prompts" and settings.prompts:
            _check_prompts_file(parts[2:], settings)
        elif parts[1] in ("mask_iou", "mask_agreement", "versus_paper"):
            _check_study_file(parts[1], PAPER, settings)
        else:
            raise SpellingError(
                f"{parts[1]!r} is {nearest(parts[1], [*settings.models, *settings.studies, 'corpora', 'benchmarks'])}"
            )
    except SpellingError as error:
        raise UserError(f"{target}: {error}") from error


def _folders(settings: Settings) -> dict[str, str]:
    """Folders of `results/`, and a file of each."""
    studies = {name: [*study.tables] for name, study in settings.studies.items() if name != PAPER}
    corpus = next(iter(settings.corpora))
    return {
        **dict.fromkeys(settings.models, MANIFESTS[0]),
        **{name: f"{tables[0]}.parquet" for name, tables in studies.items() if tables},
        "corpora": f"{corpus}/{settings.corpora[corpus].languages[0]}.parquet",
    }


def models_of(words: Sequence[str], settings: Settings) -> set[str]:
    """The models that results named on a command line are of; all of them where no word names one or a study."""
    found: set[str] = set()
    for word in words:
        parts = word.removeprefix("results/").split("/")
        if word.startswith("results/") and parts[0] in settings.models:
            found.add(parts[0])
        elif parts[0] in settings.studies:
            found |= {cell.model for cell in settings.studies[parts[0]].all_cells()}
    return found or set(settings.models)


def require_sizes(words: Sequence[str], settings: Settings) -> None:
    """Raises `UserError` if targets are of a model whose sizes are not known; its registration alone needs none."""
    named = [word for word in words if not word.endswith(MANIFESTS)]
    known = {*settings.models, *settings.studies}
    named = [word for word in named if word.removeprefix("results/").split("/")[0] in known]
    unknown: list[str] = []
    for model in sorted(models_of(named, settings)) if named else []:
        try:
            _ = settings.models[model].sizes
        except UserError as error:
            unknown.append(f"models.{model}: {error}")
    if unknown:
        raise UserError("\n".join(unknown))


def _check_study_file(name: str, study: str, settings: Settings) -> None:
    stem = name.split(".")[0]
    known = [*settings.studies[study].tables, *settings.studies[study].figures] if study in settings.studies else []
    if stem not in [*known, *OF_STUDIES, Path(PAGE).stem]:
        raise SpellingError(f"{stem!r} is {nearest(stem, known)} (study {study})")
    endings = _ENDINGS.get(stem.rstrip("0123456789"), ())
    if "." in name and endings and (ending := name.removeprefix(f"{stem}.")) not in endings:
        raise SpellingError(f"{ending!r} is {nearest(ending, endings)}: type {study_path(study, stem)}.{endings[0]}")


def _check_prompts_file(parts: list[str], settings: Settings) -> None:
    if parts[0] not in settings.prompts:
        raise SpellingError(f"{parts[0]!r} is {nearest(parts[0], settings.prompts)}")
    if len(parts) > 1:
        language, known = parts[1].split(".")[0], settings.prompts[parts[0]].languages
        if language not in known:
            raise SpellingError(f"{language!r} is {nearest(language, known)} (prompts {parts[0]})")


def _check_corpus_file(parts: list[str], settings: Settings) -> None:
    if parts[0] not in settings.corpora:
        raise SpellingError(f"{parts[0]!r} is {nearest(parts[0], settings.corpora)}")
    if len(parts) > 1:
        language, known = parts[1].split(".")[0], settings.corpora[parts[0]].languages
        if language not in known:
            raise SpellingError(f"{language!r} is {nearest(language, known)} (corpus {parts[0]})")


def _check_model_path(model: str, parts: list[str], settings: Settings) -> None:
    if parts[0] in ("checkpoint", "evaluation_text", "prompts", *MANIFESTS):
        return
    if parts[0] in ("calibration", "self_written"):
        if len(parts) > 1:
            require_calibration(parts[1], settings.models[model], settings.corpora)
        _check_seed(parts[2:])
        return
    if "evaluation" in parts:
        _check_benchmark(parts[parts.index("evaluation") + 1 :], settings)
    if parts[0] == "dense":
        _check_variant_file(parts[1:2], [*OF_DENSE, *OF_VARIANTS])
        return
    methods = [*METHODS, *settings.imported_methods]
    if parts[0] not in methods:
        choices = [*methods, "dense", "calibration", "self_written", "evaluation_text", "checkpoint", *MANIFESTS]
        raise SpellingError(f"{parts[0]!r} is {nearest(parts[0], choices)}")
    if len(parts) > 1:
        scheme = parse_scheme(parts[1])
        if not takes(parts[0], scheme):
            raise SpellingError(f"{parts[0]} does not take scheme {parts[1]!r}: {why_not(parts[0])}")
        if reason := settings.models[model].sizes.why_not(scheme):
            raise SpellingError(f"{model} does not take scheme {parts[1]!r}: {reason}")
    if origin_of(parts[0]) is not None:
        _check_listed(model, parts, settings)
        return
    if len(parts) > 2:
        require_cell(parse_scheme(parts[1]), parts[2], settings.models[model], settings.corpora)
    _check_seed(parts[3:])
    _check_variant_file(parts[4:5], [artifact(parts[0]), *OF_VARIANTS, *OF_CELLS])


def _check_listed(model: str, parts: list[str], settings: Settings) -> None:
    """A cell of a checkpoint is one that `imports` lists."""
    listed = sorted(cell.variant for cell in settings.imported if (cell.model, cell.method) == (model, parts[0]))
    if not listed:
        raise SpellingError(f"imports.{origin_of(parts[0])} lists no {parts[0]} of {model}")
    variant = "/".join(parts[:4])
    if len(parts) > 3 and variant not in listed:
        raise SpellingError(f"{variant!r} is {nearest(variant, listed)} that imports.{origin_of(parts[0])} lists")
    _check_variant_file(parts[4:5], [artifact(parts[0]), CHECKPOINT, *OF_VARIANTS, *OF_CELLS])


def _check_variant_file(parts: list[str], known: Sequence[str]) -> None:
    if parts and parts[0] not in known:
        raise SpellingError(f"{parts[0]!r} is {nearest(parts[0], known)}")


def _check_benchmark(parts: list[str], settings: Settings) -> None:
    name = parts[-1].split(".")[0] if parts else ""
    if parts and name not in settings.all_benchmarks:
        raise SpellingError(f"benchmark {name!r} is {nearest(name, settings.all_benchmarks)}")


def _check_seed(parts: list[str]) -> None:
    if parts and not re.fullmatch(r"seed(0|[1-9]\d*)", parts[0]):
        digits = re.sub(r"\D", "", parts[0])
        raise SpellingError(
            f"{parts[0]!r} is not a seed" + (f"; did you mean seed{int(digits)}?" if digits else "; write seed0")
        )
    if parts and int(parts[0].removeprefix("seed")) > MOST_SEED:
        raise SpellingError(f"{parts[0]!r} is beyond the greatest seed, {MOST_SEED}")
