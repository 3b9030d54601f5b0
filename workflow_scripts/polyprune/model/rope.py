"""Rotary scalings that depend on how long a sequence is: with them, an answer depends on what else is in its batch.

transformers takes the frequencies of a whole batch from its longest sequence. `longrope` has two sets, for sequences
within the original positions and for longer ones; `dynamic` has one for every length beyond the model's positions. So
only sequences of one kind may share a batch.
"""

from __future__ import annotations

from typing import Any

Kind = tuple[int, ...]


def switches_by_length(config: Any) -> bool:
    """Whether some length of sequence gets other frequencies than another."""
    return any(scaling["rope_type"] in ("dynamic", "longrope") for scaling in _scalings(config))


def kind_of(config: Any, length: int) -> Kind:
    """Sequences of equal kind get equal frequencies."""
    return tuple(_kind(scaling, config.max_position_embeddings, length) for scaling in _scalings(config))


def _kind(scaling: dict[str, Any], max_positions: int, length: int) -> int:
    match scaling["rope_type"]:
        case "longrope":
            return int(length > scaling["original_max_position_embeddings"])
        case "dynamic":
            return length if length > max_positions else 0
        case _:
            return 0


def _scalings(config: Any) -> list[dict[str, Any]]:
    """The rotary parameters, which some families have for each type of layer."""
    found = getattr(config, "rope_parameters", None) or {}
    each = [found] if "rope_type" in found else [part for part in found.values() if isinstance(part, dict)]
    return [part for part in each if "rope_type" in part]
