"""Which sequences get equal rotary frequencies, held against what transformers computes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.helpers.tiny import SIZES, random_model
from transformers import Gemma3TextConfig

from polyprune.model.rope import kind_of, switches_by_length

THETA = {"rope_theta": 10000.0}
FACTORS = {"short_factor": [1.0] * 4, "long_factor": [1.0, 2.0, 4.0, 8.0], "factor": 2.0}
SCALINGS: dict[str, dict[str, Any]] = {
    "default": {"rope_type": "default"},
    "linear": {"rope_type": "linear", "factor": 2.0},
    "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16},
    "dynamic": {"rope_type": "dynamic", "factor": 2.0},
    "longrope": {"rope_type": "longrope", "original_max_position_embeddings": 16, **FACTORS},
}


def cosines(name: str, length: int) -> torch.Tensor:
    """Of the first positions, in a sequence of this length, by a model that has seen nothing before."""
    model = random_model("llama", max_position_embeddings=32, rope_parameters=SCALINGS[name] | THETA)
    positions = torch.arange(length)[None]
    return model.base_model.rotary_emb(torch.zeros(1, length, SIZES["hidden_size"]), positions)[0][:, :8]  # type: ignore[operator]


@pytest.mark.parametrize("name", SCALINGS)
def test_equal_kinds_are_equal_frequencies(name: str) -> None:
    config = random_model("llama", max_position_embeddings=32, rope_parameters=SCALINGS[name] | THETA).config
    lengths = (8, 15, 16, 17, 31, 32, 33, 40)
    for one in lengths:
        for other in lengths:
            equal = torch.equal(cosines(name, one), cosines(name, other))
            assert equal == (kind_of(config, one) == kind_of(config, other)), (one, other)
    assert switches_by_length(config) == (name in ("dynamic", "longrope"))


def test_scalings_of_each_type_of_layer_count() -> None:
    full = {"rope_type": "longrope", "original_max_position_embeddings": 16, **FACTORS, **THETA}
    config = Gemma3TextConfig(
        **SIZES,
        head_dim=8,
        rope_parameters={"full_attention": full, "sliding_attention": {"rope_type": "default", **THETA}},
    )
    assert switches_by_length(config)
    assert kind_of(config, 16) == kind_of(config, 3) != kind_of(config, 17)
