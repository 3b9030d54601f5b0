"""JSON files: read with an error that says what to do, written whole, sorted and readable. Artifacts carry a seal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polyprune.artifacts.atomic import atomic_write
from polyprune.artifacts.identity import Header, introduced, require
from polyprune.artifacts.seals import BLANK, require_seal, seal, unreadable
from polyprune.errors import UserError


def read_json(path: Path) -> Any:
    """Raises `UserError` if the file is missing or not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise unreadable(path, error) from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not JSON ({error}): it is truncated or was edited; restore it") from error


def read_object(file: Path) -> dict[str, Any]:
    """A JSON object that others wrote.

    Raises:
        UserError: not UTF-8, not JSON, nested too deeply, or not an object; names the file.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise UserError(
            f"{file} is not UTF-8 (byte 0x{error.object[error.start]:02x} at {error.start}); fetch or save it again"
        ) from error
    except RecursionError as error:
        raise UserError(f"{file} is nested too deeply to be read; fetch or save it again") from error
    except ValueError as error:
        raise UserError(
            f"{file} is not JSON ({error}): it is truncated or was edited; fetch or save it again"
        ) from error
    if not isinstance(found, dict):
        raise UserError(f"{file} holds a {type(found).__name__}, not an object with names; fetch or save it again")
    return found


def write_json(path: Path, value: Any) -> None:
    """Write atomically; equal values, equal bytes."""
    with atomic_write(path) as part:
        part.write_text(_text(value), encoding="utf-8")


def save_record(path: Path, schema: str, content: Mapping[str, Any]) -> None:
    """Write an artifact: an object whose entries are the header."""
    with atomic_write(path) as part:
        part.write_text(_text({**introduced(path, schema, content), "seal": BLANK}), encoding="utf-8")
        seal(part)


def load_record(path: Path, schema: str, expected: Header | None = None) -> dict[str, Any]:
    """What `save_record` wrote.

    Raises:
        UserError: missing, damaged, or not what was asked for (`artifacts/identity.py`).
    """
    require_seal(path)
    return require(path, read_json(path), schema, expected)


def _text(value: Any) -> str:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
