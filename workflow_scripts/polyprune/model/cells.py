"""Cells of a model: opened, and refused where they were made from other weights."""

from __future__ import annotations

from pathlib import Path

from polyprune.artifacts.cells import CellReader
from polyprune.errors import UserError
from polyprune.model.source import read_manifest


def open_cell(cell: Path, model: Path) -> CellReader:
    """A cell by its file, for the model of a manifest.

    Raises:
        UserError: the file is damaged or no cell, or it was made from other weights than the model has now.
    """
    reader = CellReader(cell)
    if reader.metadata["model_digest"] != read_manifest(model)["digest"]:
        raise UserError(f"{cell} was made from another version of this model than {model}; delete it and run again")
    return reader
