"""`studies`: tables and figures over named grids of cells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import cached_property
from itertools import product
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, WithJsonSchema

from polyprune.grammar.benchmarks import BENCHMARKS
from polyprune.grammar.calibrations import parse_calibration
from polyprune.grammar.methods import METHODS
from polyprune.grammar.paths import ORIGIN, Cell, origin_of
from polyprune.grammar.reports import DRAWINGS, TABLES
from polyprune.grammar.schemes import canonical_sparsity, parse_scheme
from polyprune.grammar.spelling import nearest
from polyprune.settings.base import Count, Key, Section, Seed, distinct


def _canonical_scheme(text: Any) -> Any:
    if isinstance(text, float) and 0 < text < 1:
        raise ValueError(f'{text!r} is a number; quote it: "{canonical_sparsity(f"{Decimal(repr(text)):f}")}"')
    if not isinstance(text, str):
        raise ValueError(f'{text!r} is not a scheme; write text in quotes, e.g. "0.50"')
    parse_scheme(text)
    return text


def _canonical_calibration(text: str) -> str:
    parse_calibration(text)
    return text


def one_of(names: Iterable[str]) -> Callable[[str], str]:
    """Validator: the name is one of these; another is refused with the nearest."""

    def known(name: str) -> str:
        if name not in names:
            raise ValueError(f"{name!r} is {nearest(name, names)}")
        return name

    return known


def _known_method(name: str) -> str:
    """A method that is computed here, or any with the origin of its checkpoints (`wanda@paper`)."""
    plain = name.partition(ORIGIN)[0]
    if plain not in METHODS:
        raise ValueError(f"{plain!r} is {nearest(plain, METHODS)}")
    return name


def choice_of(names: Iterable[str]) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "enum": list(names)})


SchemeName = Annotated[str, BeforeValidator(_canonical_scheme)]
CalibrationName = Annotated[str, AfterValidator(_canonical_calibration)]
MethodName = Annotated[
    str,
    AfterValidator(_known_method),
    WithJsonSchema({"anyOf": [{"enum": list(METHODS)}, {"type": "string", "pattern": f"{ORIGIN}."}]}),
]
Benchmark = Annotated[
    str, WithJsonSchema({"anyOf": [{"enum": list(BENCHMARKS)}, {"type": "string", "description": "of `benchmarks`"}]})
]
TableKind = Annotated[str, AfterValidator(one_of(TABLES)), choice_of(TABLES)]
DrawingKind = Annotated[str, AfterValidator(one_of(DRAWINGS)), choice_of(DRAWINGS)]
GridNames = Annotated[list[str], Field(min_length=1), AfterValidator(distinct)]


class Grid(Section):
    """All combinations of its lists: a block of cells."""

    models: Annotated[list[str], Field(min_length=1), AfterValidator(distinct)]
    methods: Annotated[list[MethodName], Field(min_length=1), AfterValidator(distinct)]
    schemes: Annotated[list[SchemeName], Field(min_length=1), AfterValidator(distinct)]
    calibrations: Annotated[list[CalibrationName], Field(min_length=1), AfterValidator(distinct)]
    seeds: Annotated[list[Seed], Field(min_length=1), AfterValidator(distinct)]
    only_listed: bool = Field(
        default=False, description="leave out cells of checkpoints that `imports` does not list, instead of a refusal"
    )
    _listed: frozenset[Cell] = PrivateAttr(frozenset())

    def list_imports(self, cells: Iterable[Cell]) -> None:
        """Say which cells of checkpoints there are."""
        self._listed = frozenset(cells)

    def combinations(self) -> list[Cell]:
        """All of its lists."""
        names = product(self.models, self.methods, self.schemes, self.calibrations, self.seeds)
        return [Cell(*combination) for combination in names]

    def cells(self) -> list[Cell]:
        """The combinations, without those that are left out."""
        without = self.left_out()
        return [cell for cell in self.combinations() if cell not in without]

    def left_out(self) -> set[Cell]:
        """Cells of checkpoints that are not listed, if they are to be left out."""
        if not self.only_listed:
            return set()
        return {cell for cell in self.combinations() if origin_of(cell.method) is not None} - self._listed


class TableSettings(Section):
    """A table apart from its grids: what the module of its kind reads."""

    title: str
    report: TableKind = Field(
        description="drift: perplexity, SNR and pruning error on the model's corpus; "
        "benchmarks: scores on `benchmarks`; mask_iou: overlap of the masks of several seeds of a language; "
        "mask_iou_languages: of what the seeds of two languages agree on; same_masks: whether cells of checkpoints "
        "have the masks of our own; routing: how alike languages are sent to experts, before and after"
    )
    benchmarks: Annotated[list[Benchmark], AfterValidator(distinct)] = Field(default=[])
    references: Annotated[list[str], AfterValidator(distinct)] = Field(
        default=[],
        description="of a table of mixes: grids of single languages with the same models, methods and schemes, of "
        "which English and each column's own language are shown beside the mixes",
    )


class Table(TableSettings):
    """One table of a study: what it reports about which grids."""

    grids: GridNames


class _FigureEntry(Section):
    """What the configuration says of a figure apart from its grids."""

    title: str
    draws: DrawingKind
    layers: Annotated[list[Count], AfterValidator(distinct)] = Field(
        default=[], description="decoder layers counted from 1; all if not given"
    )
    matrix: Literal["down_proj", "o_proj"] | None = Field(default=None, description="for mean_activations")
    projector: Literal["per_model", "dense", "pooled", "cross_fitted", "random"] = Field(
        "per_model", description="where the language-specific subspace is from; per_model is the paper's"
    )
    rank: Count | None = Field(default=None, description="of that subspace; one less than the languages if not given")


class FigureSettings(_FigureEntry):
    """What the module of a figure's kind reads."""

    sequences: Count | None = Field(default=None, description="of a calibration that says no number: the model's own")


class Figure(_FigureEntry):
    """One figure of a study: what it draws of which grids."""

    grids: GridNames


class Study(Section):
    """A set of tables and figures over named grids. `paper` is written to results/, any other to results/{study}/."""

    grids: dict[Key, Grid]
    tables: dict[Annotated[str, Field(pattern=r"^table[1-9]\d*$")], Table]
    figures: dict[Annotated[str, Field(pattern=r"^figure[1-9]\d*$")], Figure] = Field(default={})

    def cells(self, name: str) -> Sequence[Cell]:
        """The cells of a table or figure, each once, in the order of its grids; then those of a table's references."""
        return self._cells[name]

    @cached_property
    def _cells(self) -> dict[str, Sequence[Cell]]:
        return {name: self._cells_of(name) for name in (*self.tables, *self.figures)}

    def _cells_of(self, name: str) -> list[Cell]:
        if name not in self.tables:
            return self._of_grids(self.figures[name].grids)
        own = self._of_grids(self.tables[name].grids)
        blocks = {(cell.model, cell.method, cell.scheme) for cell in own}
        beside = self._of_grids(self.tables[name].references)
        return list(dict.fromkeys([*own, *(c for c in beside if (c.model, c.method, c.scheme) in blocks)]))

    def _of_grids(self, grids: Iterable[str]) -> list[Cell]:
        return list(dict.fromkeys(cell for grid in grids for cell in self.grids[grid].cells()))

    def all_cells(self) -> Sequence[Cell]:
        """The cells of all tables and of all figures that are not of the dense model alone, each once."""
        return self._all_cells

    @cached_property
    def _all_cells(self) -> Sequence[Cell]:
        figures = (name for name, figure in self.figures.items() if not DRAWINGS[figure.draws].of_dense)
        return list(dict.fromkeys(cell for name in (*self.tables, *figures) for cell in self.cells(name)))
