"""Snakemake's cache between workflows (`--cache`): whether what it holds is what this study asks for.

Snakemake finds a cached file by a hash over commands, specs and everything upstream. So all that decides a result must
stand in specs: settings and code do, generated text and trained models follow from them, and of the hub a commit that
the configuration names. What the content of a folder or of `revisions.lock` decides does not, so a study with such
things must not take files from the cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from polyprune.errors import UserError
from polyprune.settings.config import Settings
from polyprune.settings.models import GgufSource, HubSource, PickledSource
from polyprune.settings.text import FilesCorpus, HubCorpus
from polyprune.workflow.earlier import FOLDERS

SHARED = ("build_calibration_set", "prune_model", "reconstruct_model", "evaluate_dense", "evaluate_model")
"""Rules whose files the cache takes: of one output, or of several that have names."""
WITH_FOLDER = ("train_model", "convert_model", "export_model", "export_packed")
"""Rules of one output and a folder, which goes into the cache with it. Not those that fetch models: what they bring
lies in the hub's cache, which can be shared itself (`HF_HOME`), and a manifest without it would be no model."""


def share(rules: Iterable[Any]) -> None:
    """Mark these of Snakemake's rules for its cache, which takes no rules with a benchmark record: they have none then.

    A rule's own directive would be told of in every run without a cache, and could not leave the record away.
    """
    from snakemake.caching.rule import CacheFlag, RuleCache

    from polyprune.workflow.cached_folders import FolderCache

    for rule in rules:
        if rule.name in SHARED:
            rule.cache, rule._benchmark = RuleCache(rule, CacheFlag.output), None
        elif rule.name in WITH_FOLDER:
            rule.cache, rule._benchmark = FolderCache(rule, CacheFlag.output, FOLDERS[rule.name]), None


def require_cacheable(settings: Settings, models: set[str]) -> None:
    """Raises `UserError` if something of these models is not told apart by specs alone; names all of it."""
    if found := sorted(set(_untold(settings, models))):
        raise UserError(
            "--cache: Snakemake's cache knows the configuration, not what lies outside, and could give this study "
            f"another's results: {'; '.join(found)}"
        )


def _untold(settings: Settings, models: set[str]) -> Iterator[str]:
    for cell, checkpoint in settings.imported.items():
        if cell.model in models and getattr(checkpoint, "revision", None) is None:
            yield f"imports of {cell.model} are told apart by the content of checkpoints: run without --cache"
    for name in models:
        corpus = settings.models[name].text.corpus
        for place, source in (
            (f"models.{name}.source", settings.models[name].source),
            (f"corpora.{corpus}", settings.corpora[corpus]),
        ):
            if isinstance(source, FilesCorpus) or getattr(source, "path", None) is not None:
                yield f"{place} is told apart by the content of files: run without --cache"
            elif isinstance(source, HubSource | GgufSource | PickledSource | HubCorpus) and source.revision is None:
                yield f"{place}.revision is not set: write the commit of revisions.lock there"
