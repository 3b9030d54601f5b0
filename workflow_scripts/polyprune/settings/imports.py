"""`imports`: cells that are read from checkpoints of others, by origin: `wanda@paper` is listed in `imports.paper`."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from polyprune.grammar.methods import METHODS
from polyprune.grammar.paths import ORIGIN, Cell
from polyprune.settings.base import Commit, Section, Seed
from polyprune.settings.studies import CalibrationName, SchemeName, choice_of, one_of

_COLUMNS = ("model", "method", "scheme", "calibration", "seed", "repository")
_PICKLES = "where there are no safetensors, read weights, and nothing else, of pytorch_model*.bin"


class FolderCheckpoint(Section):
    """A local folder: config.json and safetensors; no tokenizer is needed."""

    kind: Literal["folder"]
    path: str
    pickles: bool = Field(default=False, description=_PICKLES)


class HubCheckpoint(Section):
    """A repository of the Hugging Face hub with the same."""

    kind: Literal["hub"]
    id: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    revision: Commit | None = Field(default=None, description="else resolved once into revisions.lock")
    pickles: bool = Field(default=False, description=_PICKLES)


CheckpointSource = Annotated[FolderCheckpoint | HubCheckpoint, Field(discriminator="kind")]


class ImportedCell(Section):
    """A checkpoint, and which cell it is by what its maker says of it."""

    model: str = Field(description="the dense model that it was made from: a key of `models`")
    method: Annotated[str, AfterValidator(one_of(METHODS)), choice_of(METHODS)]
    scheme: SchemeName
    calibration: CalibrationName
    seed: Seed
    source: CheckpointSource

    def cell(self, origin: str) -> Cell:
        """As paths and grids spell it."""
        return Cell(self.model, f"{self.method}{ORIGIN}{origin}", self.scheme, self.calibration, self.seed)

    @property
    def name(self) -> str:
        """Its repository or folder."""
        return self.source.id if isinstance(self.source, HubCheckpoint) else self.source.path


class Imports(Section):
    """The checkpoints of one origin."""

    cells: list[ImportedCell] = Field(default=[])
    table: str | None = Field(
        default=None,
        description="CSV file of more cells, repositories of the hub, with the columns "
        f"{', '.join(_COLUMNS)}; lines that begin with # are comments",
    )
    pickles: bool = Field(default=False, description=f"of the table's repositories: {_PICKLES}")
    without: list[str] = Field(
        default=[], description="repositories or folders that are not there: as if they were not listed"
    )

    @cached_property
    def listed(self) -> list[ImportedCell]:
        """All but those that are not there; raises `ValueError` if the table cannot be read."""
        rows = list(_rows(Path(self.table), self.pickles)) if self.table is not None else []
        return [cell for cell in (*self.cells, *rows) if cell.name not in self.without]

    @model_validator(mode="after")
    def _is_readable(self) -> Self:
        seen: dict[Cell, str] = {}
        for each in self.listed:
            cell = each.cell("")
            if cell in seen:
                raise ValueError(f"{each.name} and {seen[cell]} are both said to be {cell.model}/{cell.variant}")
            seen[cell] = each.name
        return self


def _rows(table: Path, pickles: bool) -> Iterator[ImportedCell]:
    """The rows of a table of repositories.

    Raises:
        ValueError: the file is missing or has other columns, or a row's value is none; names its line.
    """
    try:
        lines = (Path.cwd() / table.expanduser()).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{table} cannot be read ({error})") from error
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]
    reader = csv.DictReader(line for _, line in numbered)
    if tuple(reader.fieldnames or ()) != _COLUMNS:
        raise ValueError(f"{table}: the columns are {', '.join(_COLUMNS)}, not {', '.join(reader.fieldnames or ())}")
    for (number, _), row in zip(numbered[1:], reader, strict=True):
        try:
            yield _read(row, pickles)
        except ValidationError as error:
            said = error.errors()[0]
            place, message = ".".join(map(str, said["loc"])), said["msg"].removeprefix("Value error, ")
            raise ValueError(f"{table}, line {number}: {place}: {message}") from error


def _read(row: Mapping[str, str], pickles: bool) -> ImportedCell:
    seed = int(row["seed"]) if str(row["seed"]).isdecimal() else row["seed"]
    source = {"kind": "hub", "id": row["repository"], "pickles": pickles}
    named = {name: row[name] for name in ("model", "method", "scheme", "calibration")}
    return ImportedCell.model_validate({**named, "seed": seed, "source": source})
