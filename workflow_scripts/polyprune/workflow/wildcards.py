"""What wildcards may be: regular expressions for `wildcard_constraints`, from the settings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from polyprune.grammar.calibrations import CALIBRATION_PATTERN, LANGUAGE_PATTERN, SELF_PATTERN
from polyprune.grammar.layouts import PACKED
from polyprune.grammar.methods import METHODS, traits_of
from polyprune.grammar.schemes import COMPOSED_PATTERN, PLAIN_PATTERN, SCHEME_PATTERN, SEED_PATTERN
from polyprune.settings.config import Settings

Wildcards = Mapping[str, str]
"""Of a job: Snakemake's own, or a dictionary. Their order is that of the output path."""


def any_of(names: Iterable[str]) -> str:
    """One of these names; nothing if there are none."""
    return "|".join(map(re.escape, names)) or "(?!)"


class Only:
    """Which names a wildcard of a rule may have."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def everywhere(self) -> dict[str, str]:
        """The constraints of all rules: a misspelt path is no target of any."""
        return {
            "model": any_of(self.settings.models),
            "corpus": any_of(self.settings.corpora),
            "prompts": any_of(self.settings.prompts),
            "method": any_of([*METHODS, *self.settings.imported_methods]),
            "scheme": SCHEME_PATTERN,
            "calibration": CALIBRATION_PATTERN,
            "seed": SEED_PATTERN,
            "benchmark": any_of(self.settings.all_benchmarks),
            "language": LANGUAGE_PATTERN,
            "layout": any_of(PACKED),
        }

    def self_written(self) -> str:
        """Calibrations on text that a model writes."""
        return SELF_PATTERN

    def models_from(self, *kinds: str) -> str:
        """Models whose source is of one of these kinds."""
        return any_of(name for name, model in self.settings.models.items() if model.source.kind in kinds)

    def models_on(self, corpus: str) -> str:
        """Models whose text is from this corpus."""
        return any_of(name for name, model in self.settings.models.items() if model.text.corpus == corpus)

    def models_asked(self, prompts: str) -> str:
        """Models that are given these prompts."""
        return any_of(name for name, model in self.settings.models.items() if model.prompts == prompts)

    def corpora(self, *, of_kind: str | None) -> str:
        """Corpora of a kind that has a rule of its own, or those that are generated or lie in files."""
        kinds = {name: corpus.kind for name, corpus in self.settings.corpora.items()}
        own = {name: kind if kind in ("hub", "tmx", "prompts") else None for name, kind in kinds.items()}
        return any_of(name for name, kind in own.items() if kind == of_kind)

    def prompts(self, *, fetched: bool) -> str:
        """Prompts that are fetched from the hub, or those that are generated or lie in files."""
        return any_of(name for name, each in self.settings.prompts.items() if (each.kind == "hub") == fetched)

    def schemes(self, *, composed: bool) -> str:
        """Schemes whose cells are made of finished ones, or those that a method is asked for."""
        return COMPOSED_PATTERN if composed else PLAIN_PATTERN

    def methods(self, *, updating: bool) -> str:
        """Methods that change the surviving weights, or those that only choose which survive."""
        return any_of(name for name, each in METHODS.items() if each.updates == updating and not each.experts)

    def removing_experts(self) -> str:
        """Methods that remove whole experts of a mixture."""
        return any_of(name for name, traits in METHODS.items() if traits.experts)

    def imported(self, *, updating: bool | None = None) -> str:
        """The same of methods whose cells are read from checkpoints; all of these."""
        names = self.settings.imported_methods
        return any_of(name for name in names if updating is None or traits_of(name).updates == updating)

    def benchmarks(self, *, fetched: bool) -> str:
        """All benchmarks, if they are fetched from the hub, or if they are in the user's folder; else none."""
        at_hand = self.settings.evaluation.data_root is not None
        return any_of(self.settings.all_benchmarks if at_hand != fetched else ())
