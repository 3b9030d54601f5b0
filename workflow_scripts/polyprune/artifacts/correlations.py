"""`correlations.json`: how alike the calibration languages use each layer of a dense model (CORR-1).

correlations    a number a layer

Header, beside it: model digest, calibration digest, calibration, code digest. Schema `correlations/1`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from polyprune.artifacts.identity import Header
from polyprune.artifacts.json_files import load_record, save_record

SCHEMA = "correlations/1"


def save_correlations(path: Path, correlations: Sequence[float], about: Mapping[str, Any]) -> None:
    """Write the file; `correlations` are of the layers in order, `about` identifies what they were measured on."""
    save_record(path, SCHEMA, {**about, "correlations": list(correlations)})


def load_correlations(path: Path, expected: Header | None = None) -> list[float]:
    """Of each layer. Raises `UserError` if the file is missing, damaged, or not what was asked for."""
    return load_record(path, SCHEMA, expected)["correlations"]
