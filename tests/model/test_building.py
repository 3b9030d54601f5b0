"""A model without weights: all of it is on torch's meta device, whatever its family computes while it is made."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.helpers.families import tiny_config

from polyprune.model.building import build


@pytest.mark.parametrize("model_type", ["llama", "gemma4_text", "jamba", "diffllama"])
def test_nothing_has_storage(model_type: str) -> None:
    """Gemma 4 computes of ranges and weights together, Jamba's weights are of ranges, and DiffLlama draws some."""
    model = build(tiny_config(model_type), torch.float32, Path(), "").model
    assert {tensor.device.type for tensor in [*model.parameters(), *model.buffers()]} == {"meta"}
