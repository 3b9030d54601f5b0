"""All of the configuration, and what follows from several of its sections together."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from polyprune.settings.base import Key, Section
from polyprune.settings.engine import Engine
from polyprune.settings.methods import Compression
from polyprune.settings.models import Model
from polyprune.settings.scores import Analysis, Evaluation
from polyprune.settings.studies import (
    Study,
)
from polyprune.settings.text import (
    Corpus,
    DemoCorpus,
    Prompts,
)


class Settings(Section):
    """All of config.yaml."""

    corpora: dict[Key, Corpus]
    prompts: dict[Key, Prompts] = Field(default={})
    models: dict[Key, Model]
    compression: Compression = Compression()
    evaluation: Evaluation = Evaluation()
    analysis: Analysis = Analysis()
    engine: Engine = Engine()
    studies: dict[Key, Study]

    def corpus_of(self, model: str) -> Any:
        return self.corpora[self.models[model].text.corpus]

    def languages_of(self, model: str) -> list[str]:
        """Languages in which a model is evaluated and may be calibrated, sorted."""
        return sorted(self.corpus_of(model).languages)

    def benchmarks_of(self, model: str) -> str:
        """Where a model's benchmark data come from: `demo` (generated, as its corpus) or `hub`."""
        return "demo" if isinstance(self.corpus_of(model), DemoCorpus) else "hub"

    def lape_languages_of(self, model: str) -> list[str]:
        """Languages over which LAPE is taken, sorted."""
        return [language for language in self.languages_of(model) if language not in self.analysis.lape_without]
