"""The same values in another order."""

from __future__ import annotations

from typing import Any


def reversed_mappings(value: Any) -> Any:
    """All mappings with their keys the other way round; lists as they are."""
    if isinstance(value, dict):
        return {key: reversed_mappings(entry) for key, entry in reversed(value.items())}
    return [reversed_mappings(entry) for entry in value] if isinstance(value, list) else value
