"""Values in config.json that cannot be, of which transformers takes some without a word: what follows would be numbers.

Sizes that are no counts, heads that do not divide; rotary frequencies, positions and epsilons that make not-a-number
of every state, or states that no model was trained with.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from polyprune.errors import UserError

SIZES = ("num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads", "vocab_size")
"""What config.json must name."""
_COUNTS = (*SIZES, "num_key_value_heads", "head_dim", "max_position_embeddings")
_EPSILONS = ("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_eps", "norm_epsilon")
_POSITIVE = ("rope_theta", "factor", "original_max_position_embeddings", "partial_rotary_factor")
_PER_FREQUENCY = ("short_factor", "long_factor")


def refuse_impossible(config: Mapping[str, Any], file: Path) -> None:
    """Raises `UserError` for the first such value; names the file, the entry and the value."""
    for name, value, wanted in _impossible(config):
        raise UserError(f"{file}: {name} is {value!r}, not {wanted}; restore the file")
    width, heads, groups = (config.get(name) for name in ("hidden_size", "num_attention_heads", "num_key_value_heads"))
    if isinstance(width, int) and isinstance(heads, int) and config.get("head_dim") is None and width % heads:
        raise UserError(f"{file}: hidden_size {width} is no multiple of num_attention_heads {heads}; restore the file")
    if isinstance(heads, int) and isinstance(groups, int) and heads % groups:
        raise UserError(
            f"{file}: num_attention_heads {heads} is no multiple of num_key_value_heads {groups}; restore the file"
        )


def _impossible(config: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    """Entry, value, and what belongs there."""
    for name in _COUNTS:
        value = config.get(name)
        per_layer = isinstance(value, list) and name != "num_hidden_layers"
        if value is not None and not per_layer and not _is_count(value):
            yield name, value, "a whole number above 0"
    vocabulary, padding = config.get("vocab_size"), config.get("pad_token_id")
    if isinstance(vocabulary, int) and isinstance(padding, int) and padding >= vocabulary:
        yield "pad_token_id", padding, f"one of the {vocabulary} tokens that vocab_size says"
    for name in _EPSILONS:
        if config.get(name) is not None and not (_is_number(config[name]) and config[name] >= 0):
            yield name, config[name], "a number from 0"
    if config.get("rope_theta") is not None and not _is_positive(config["rope_theta"]):
        yield "rope_theta", config["rope_theta"], "a number above 0"
    for place in ("rope_parameters", "rope_scaling"):
        for inside, scaling in _scalings(config.get(place), place):
            yield from ((f"{inside}.{name}", value, wanted) for name, value, wanted in _impossible_scaling(scaling))


def _scalings(value: Any, place: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Rotary parameters, which some families have for each type of layer."""
    if not isinstance(value, Mapping):
        return
    parts = {name: part for name, part in value.items() if isinstance(part, Mapping)}
    yield from ((f"{place}.{name}", part) for name, part in parts.items()) if parts else [(place, value)]


def _impossible_scaling(scaling: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    for name in _POSITIVE:
        if scaling.get(name) is not None and not _is_positive(scaling[name]):
            yield name, scaling[name], "a number above 0"
    share = scaling.get("partial_rotary_factor")
    if share is not None and share > 1:
        yield "partial_rotary_factor", share, "a share of a head's width"
    for name in _PER_FREQUENCY:
        factors = scaling.get(name)
        if factors is not None and not (
            isinstance(factors, list) and len(factors) > 1 and all(map(_is_positive, factors))
        ):
            yield name, factors, "a list of numbers above 0, one a frequency"
    low, high = scaling.get("low_freq_factor"), scaling.get("high_freq_factor")
    if low is not None and high is not None and not (_is_positive(low) and _is_positive(high) and low < high):
        yield "high_freq_factor", high, f"a number above low_freq_factor, {low!r}"


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_positive(value: Any) -> bool:
    return _is_number(value) and value > 0
