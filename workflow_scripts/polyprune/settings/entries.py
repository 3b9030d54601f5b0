"""The entries of a configuration, each valid or refused by itself: what can be compared although another is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeVar, get_args

from pydantic import TypeAdapter, ValidationError

from polyprune.grammar.paths import Cell
from polyprune.settings.benchmarks import ConfiguredBenchmark
from polyprune.settings.imports import Imports
from polyprune.settings.models import Model
from polyprune.settings.studies import Figure, Grid, Table
from polyprune.settings.text import Corpus, Prompts

T = TypeVar("T")


@dataclass(frozen=True)
class GridEntry:
    """Of each list of a grid the items that are valid, by their index."""

    models: dict[int, str]
    methods: dict[int, str]
    schemes: dict[int, str]
    calibrations: dict[int, str]
    seeds: dict[int, int]
    only_listed: bool

    def cells(self) -> list[Cell]:
        names = product(
            self.models.values(),
            self.methods.values(),
            self.schemes.values(),
            self.calibrations.values(),
            self.seeds.values(),
        )
        return [Cell(*combination) for combination in names]


@dataclass(frozen=True)
class StudyEntry:
    """The parts of a study, by name; None is one that its type refuses."""

    grids: dict[str, GridEntry]
    tables: dict[str, Table | None]
    figures: dict[str, Figure | None]


@dataclass(frozen=True)
class Entries:
    """All entries, by name; None is one that its type refuses: others may name it, but nothing is known of it."""

    corpora: dict[str, Corpus | None]
    prompts: dict[str, Prompts | None]
    models: dict[str, Model | None]
    imports: dict[str, Imports | None]
    benchmarks: dict[str, ConfiguredBenchmark | None]
    studies: dict[str, StudyEntry | None]


_CORPUS: TypeAdapter[Corpus] = TypeAdapter(Corpus)
_PROMPTS: TypeAdapter[Prompts] = TypeAdapter(Prompts)
_MODEL, _TABLE, _FIGURE = TypeAdapter(Model), TypeAdapter(Table), TypeAdapter(Figure)
_IMPORTS, _BENCHMARK = TypeAdapter(Imports), TypeAdapter(ConfiguredBenchmark)
_ITEMS = {
    name: TypeAdapter(get_args(field.annotation)[0]) for name, field in Grid.model_fields.items() if field.is_required()
}
"""The type of an item of each of a grid's lists."""


def read_entries(config: Mapping[str, Any]) -> Entries | None:
    """Each entry by itself; None if a section is missing or no mapping: then nobody can say which names there are."""
    sections = {"prompts": {}, "imports": {}, "benchmarks": {}, **config}
    if not _are_mappings(sections, "corpora", "prompts", "models", "imports", "benchmarks", "studies"):
        return None
    return Entries(
        _each(sections["corpora"], _CORPUS),
        _each(sections["prompts"], _PROMPTS),
        _each(sections["models"], _MODEL),
        _each(sections["imports"], _IMPORTS),
        _each(sections["benchmarks"], _BENCHMARK),
        {name: _study(value) for name, value in _named(sections["studies"])},
    )


def _study(value: Any) -> StudyEntry | None:
    parts = {"figures": {}, **value} if isinstance(value, Mapping) else {}
    if not _are_mappings(parts, "grids", "tables", "figures"):
        return None
    return StudyEntry(
        {name: _grid(grid) for name, grid in _named(parts["grids"])},
        _each(parts["tables"], _TABLE),
        _each(parts["figures"], _FIGURE),
    )


def _grid(value: Any) -> GridEntry:
    lists = value if isinstance(value, Mapping) else {}
    items = {name: _items(lists.get(name), kind) for name, kind in _ITEMS.items()}
    return GridEntry(**items, only_listed=lists.get("only_listed") is True)


def _items(listed: Any, kind: TypeAdapter[Any]) -> dict[int, Any]:
    items = enumerate(listed if isinstance(listed, list) else [])
    return {index: item for index, value in items if (item := _valid(value, kind)) is not None}


def _each(section: Mapping[Any, Any], kind: TypeAdapter[T]) -> dict[str, T | None]:
    return {name: _valid(value, kind) for name, value in _named(section)}


def _named(section: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    """Entries whose name is text: YAML reads `no` as false."""
    return ((name, value) for name, value in section.items() if isinstance(name, str))


def _valid(value: Any, kind: TypeAdapter[T]) -> T | None:
    """The value if it is of the kind, keys aside that nobody knows; else None."""
    try:
        return kind.validate_python(value, extra="ignore")
    except ValidationError:
        return None


def _are_mappings(sections: Mapping[str, Any], *names: str) -> bool:
    return all(isinstance(sections.get(name), Mapping) for name in names)
