"""All of the configuration, and what follows from several of its sections together."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Self

from pydantic import Field, model_validator

from polyprune.grammar.benchmarks import BENCHMARKS, Benchmark
from polyprune.grammar.paths import Cell
from polyprune.settings.base import Key, Section
from polyprune.settings.benchmarks import ConfiguredBenchmark
from polyprune.settings.engine import Engine
from polyprune.settings.imports import CheckpointSource, Imports
from polyprune.settings.methods import Compression
from polyprune.settings.models import Model
from polyprune.settings.scores import Analysis, Evaluation
from polyprune.settings.studies import Study
from polyprune.settings.text import Corpus, DemoCorpus, Prompts


class Settings(Section):
    """All of config.yaml."""

    corpora: dict[Key, Corpus]
    prompts: dict[Key, Prompts] = Field(default={})
    models: dict[Key, Model]
    imports: dict[Key, Imports] = Field(default={})
    benchmarks: dict[Key, ConfiguredBenchmark] = Field(default={})
    compression: Compression = Compression()
    evaluation: Evaluation = Evaluation()
    analysis: Analysis = Analysis()
    engine: Engine = Engine()
    studies: dict[Key, Study]

    @model_validator(mode="after")
    def _grids_know_imports(self) -> Self:
        for study in self.studies.values():
            for grid in study.grids.values():
                grid.list_imports(self.imported)
        return self

    @cached_property
    def imported(self) -> dict[Cell, CheckpointSource]:
        """Where cells of checkpoints are read from."""
        return {each.cell(origin): each.source for origin, of in self.imports.items() for each in of.listed}

    @property
    def imported_methods(self) -> list[str]:
        """`wanda@paper` and the like."""
        return sorted({cell.method for cell in self.imported})

    @property
    def left_out(self) -> list[str]:
        """Cells of checkpoints that grids would have and that are not listed, in a sentence a grid."""
        found = []
        for name, study in self.studies.items():
            for key, grid in study.grids.items():
                if without := sorted(f"{cell.model}/{cell.variant}" for cell in grid.left_out()):
                    more = f" (and {len(without) - 1} more)" if len(without) > 1 else ""
                    found.append(
                        f"studies.{name}.grids.{key} is without {without[0]}{more}: `imports` does not list it"
                    )
        return found

    def corpus_of(self, model: str) -> Any:
        return self.corpora[self.models[model].text.corpus]

    def languages_of(self, model: str) -> list[str]:
        """Languages in which a model is evaluated and may be calibrated, sorted."""
        return sorted(self.corpus_of(model).languages)

    @cached_property
    def all_benchmarks(self) -> dict[str, Benchmark]:
        """Those that are built in, and those of the configuration."""
        return BENCHMARKS | {name: each.made(name) for name, each in self.benchmarks.items()}

    def source_of(self, model: str, benchmark: str) -> str:
        """Where a model's data of a benchmark come from: `demo` (generated, as its corpus) or `hub`."""
        generated = isinstance(self.corpus_of(model), DemoCorpus) and self.all_benchmarks[benchmark].asked is None
        return "demo" if generated else "hub"

    def lape_languages_of(self, model: str) -> list[str]:
        """Languages over which LAPE is taken, sorted."""
        return [language for language in self.languages_of(model) if language not in self.analysis.lape_without]
