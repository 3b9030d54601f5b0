"""Families of decoders: a sample of docs/models.md, walked, compressed, exported and loaded again by transformers."""

from __future__ import annotations

import pytest
from tests.helpers.families import model_types
from tests.helpers.models_page import PAGE, listed, outcomes_of
from tests.helpers.tried import try_family

SAMPLE = [
    "gpt2",  # weights the other way round, learned positions, LayerNorm, a fused qkv
    "jamba",  # weights that are used without their layer being called, experts
    "falcon_h1",  # buffers that only the whole decoder computes
    "glm_moe_dsa",  # refused: layers hand on more than hidden states
]


@pytest.mark.parametrize("model_type", SAMPLE)
def test_a_family_is_what_the_page_says(model_type: str) -> None:
    assert try_family(model_type) == outcomes_of(PAGE.read_text(encoding="utf-8"))[model_type]


def test_the_page_has_every_model_type_of_transformers_and_at_least_sixty_that_are_exact() -> None:
    found = outcomes_of(PAGE.read_text(encoding="utf-8"))
    assert list(found) == sorted(model_types())
    assert sum(outcome.exact for outcome in found.values()) >= 60
    assert listed(found.values()) in PAGE.read_text(encoding="utf-8")
