"""`outliers.json`: the share of outliers in each layer of a dense model on one calibration shard (OWL-1).

shares    a fraction a layer, exact, e.g. "913/1048576"
job       model digest, calibration digest, settings, code digest
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from polyprune.artifacts.json_files import read_json, write_json


def save_outliers(path: Path, shares: Sequence[Fraction], job: Mapping[str, Any]) -> None:
    """Write the file; `shares` are of the layers in order, `job` identifies what they were measured on."""
    write_json(path, {"shares": [str(share) for share in shares], "job": dict(job)})


def load_outliers(path: Path) -> tuple[list[Fraction], dict[str, Any]]:
    """Shares and job. Raises `UserError` if the file is missing or damaged."""
    content = read_json(path)
    return [Fraction(share) for share in content["shares"]], content["job"]
