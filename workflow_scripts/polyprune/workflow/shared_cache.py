"""Snakemake's cache between workflows (`--cache`): whether what it holds is what this study asks for.

Snakemake finds a cached file by a hash over commands, specs and everything upstream. So all that decides a result must
stand in specs: settings and code do, generated text and trained models follow from them, and of the hub a commit that
the configuration names. What the content of a folder or of `revisions.lock` decides does not, so a study with such
things must not take files from the cache, and scores on questions of the hub, or of a folder, are not put there.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from polyprune.errors import UserError
from polyprune.settings.config import Settings
from polyprune.settings.models import GgufSource, HubSource, PickledSource
from polyprune.settings.text import DemoCorpus, FilesCorpus, FilesPrompts, HubCorpus, HubPrompts, PromptsCorpus
from polyprune.workflow.earlier import FOLDERS
from polyprune.workflow.targets import models_of

SHARED = ("build_calibration_set", "prune_model", "reconstruct_model")
"""Rules of one output whose files the cache takes."""
SCORING = ("evaluate_dense", "evaluate_model")
"""The same, of several outputs that have names; for generated questions."""
WITH_FOLDER = ("train_model", "convert_model", "export_model", "export_packed")
"""Rules of one output and a folder, which goes into the cache with it. Not those that fetch models: what they bring
lies in the hub's cache, which can be shared itself (`HF_HOME`), and a manifest without it would be no model."""
_NAMED_CORPUS = re.compile(r"@([a-z0-9.]+)")
"""In a path of results, a corpus that a calibration names, as `de@tico19`; or whose checkpoint a cell is read from."""


def share(rules: Iterable[Any], settings: Settings, words: Sequence[str]) -> None:
    """Mark these of Snakemake's rules for its cache, which takes no rules with a benchmark record: they have none then.

    A rule's own directive would be told of in every run without a cache, and could not leave the record away. `words`
    are those of the command line.
    """
    from snakemake.caching.rule import CacheFlag, RuleCache

    from polyprune.workflow.cached_folders import FolderCache

    shared = (*SHARED, *SCORING) if _asks_generated(settings, models_of(words, settings)) else SHARED
    for rule in rules:
        if rule.name in shared:
            rule.cache, rule._benchmark = RuleCache(rule, CacheFlag.output), None
        elif rule.name in WITH_FOLDER:
            rule.cache, rule._benchmark = FolderCache(rule, CacheFlag.output, FOLDERS[rule.name]), None


def _asks_generated(settings: Settings, models: Iterable[str]) -> bool:
    """Whether all questions that models may be asked follow from the settings."""
    return not settings.benchmarks and all(isinstance(settings.corpus_of(model), DemoCorpus) for model in models)


def require_cacheable(settings: Settings, words: Sequence[str]) -> None:
    """Raises `UserError` if something of what a command line asks for is not told apart by specs; names all of it."""
    if found := sorted(set(_untold(settings, words))):
        raise UserError(
            "--cache: Snakemake's cache knows the configuration, not what lies outside, and could give this study "
            f"another's results: {'; '.join(found)}"
        )


def _untold(settings: Settings, words: Sequence[str]) -> Iterator[str]:
    models = models_of(words, settings)
    for cell, checkpoint in settings.imported.items():
        if cell.model in models and getattr(checkpoint, "revision", None) is None:
            yield f"imports of {cell.model} are told apart by the content of checkpoints: run without --cache"
    things: dict[str, Any] = {f"models.{name}.source": settings.models[name].source for name in models}
    for name in _corpora_of(settings, models, words):
        corpus = settings.corpora[name]
        things[f"corpora.{name}"] = corpus
        if isinstance(corpus, PromptsCorpus):
            things[f"prompts.{corpus.prompts}"] = settings.prompts[corpus.prompts]
    for place, thing in things.items():
        if isinstance(thing, FilesCorpus | FilesPrompts) or getattr(thing, "path", None) is not None:
            yield f"{place} is told apart by the content of files: run without --cache"
        elif isinstance(thing, HubSource | GgufSource | PickledSource | HubCorpus | HubPrompts) and not thing.revision:
            yield f"{place}.revision is not set: write the commit of revisions.lock there"


def _corpora_of(settings: Settings, models: Collection[str], words: Sequence[str]) -> set[str]:
    """Those that the models are evaluated on, and those that calibrations name: of targets, or of cells of studies."""
    firsts = {word.removeprefix("results/").split("/")[0] for word in words}
    studies = settings.studies.keys() & (firsts if firsts & {*settings.studies, *settings.models} else settings.studies)
    paths = [*words, *(cell.variant for study in studies for cell in settings.studies[study].all_cells())]
    named = {name for path in paths for name in _NAMED_CORPUS.findall(path)}
    return {settings.models[name].text.corpus for name in models} | named & settings.corpora.keys()
