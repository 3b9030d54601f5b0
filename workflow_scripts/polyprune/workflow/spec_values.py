"""Values that specs hold, worked out from settings and wildcards."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from polyprune.grammar.paths import DENSE
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
