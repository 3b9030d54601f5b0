"""JSON files: read with an error that says what to do, written whole, sorted and readable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from polyprune.artifacts.atomic import atomic_write
from polyprune.errors import UserError


def read_json(path: Path) -> Any:
    """Raises `UserError` if the file is missing or not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist") from error
    except ValueError as error:
        raise UserError(f"{path} is not JSON ({error}): it is truncated or was edited; restore it") from error


def write_json(path: Path, value: Any) -> None:
    """Write atomically; equal values, equal bytes."""
    with atomic_write(path) as part:
        part.write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
