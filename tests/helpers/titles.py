"""Names in print for tests: theirs of models, the package's of all methods and benchmarks."""

from __future__ import annotations

from collections.abc import Mapping

from polyprune.grammar.benchmarks import BENCHMARKS
from polyprune.grammar.methods import METHODS
from polyprune.grammar.titles import Titles


def titles_of(models: Mapping[str, str]) -> Titles:
    return Titles(
        models,
        {name: traits.title for name, traits in METHODS.items()},
        {name: benchmark.title for name, benchmark in BENCHMARKS.items()},
    )
