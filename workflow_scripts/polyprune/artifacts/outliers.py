"""`outliers.json`: the share of outliers in each layer of a dense model on one calibration shard (OWL-1).

shares    a fraction a layer, exact, e.g. "913/1048576"

Header, beside it: model digest, calibration digest, settings, code digest. Schema `outliers/2`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from polyprune.artifacts.identity import Header
from polyprune.artifacts.json_files import load_record, save_record

SCHEMA = "outliers/2"


def save_outliers(path: Path, shares: Sequence[Fraction], about: Mapping[str, Any]) -> None:
    """Write the file; `shares` are of the layers in order, `about` identifies what they were measured on."""
    save_record(path, SCHEMA, {**about, "shares": [str(share) for share in shares]})


def load_outliers(path: Path, expected: Header | None = None) -> list[Fraction]:
    """The shares. Raises `UserError` if the file is missing, damaged, or not what was asked for."""
    return [Fraction(share) for share in load_record(path, SCHEMA, expected)["shares"]]
