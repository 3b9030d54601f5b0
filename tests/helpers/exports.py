"""A cell as a plain folder, as the stage writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.helpers.prompting import prompting_of

from polyprune.stages.export_model import export_model


def exported(model: Path, cell: Path, output: Path, title: str = "Tiny", source: dict[str, Any] | None = None) -> None:
    """Of the model of a manifest, plain and without scores; its second manifest is written first."""
    about = source or {"kind": "folder"}
    export_model(model, prompting_of(model), cell, [], output, title, about, None, {"code": "1"})
