"""Cells of a model: opened, and refused where they are not those that were asked for."""

from __future__ import annotations

from pathlib import Path

from polyprune.artifacts.cells import CellReader
from polyprune.artifacts.identity import Header
from polyprune.model.source import read_manifest


def open_cell(cell: Path, model: Path, expected: Header | None = None) -> CellReader:
    """A cell by its file, for the model of a manifest; its header has the entries `expected`.

    Raises:
        UserError: the file is damaged or no cell, it was made from other weights than the model has now, or it is
            another variant's.
    """
    return CellReader(cell, {"model_digest": read_manifest(model)["digest"], **(expected or {})})
