"""How alike languages use each layer, and the sparsities that follow, from the stages' command lines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.helpers.cells import arguments, correlation_arguments, kept_of, register
from tests.helpers.reference import compress_plainly, inputs_of, linears, lwanda_keep
from tests.helpers.tiny import random_model, random_tokens
from torch import Tensor

from polyprune.artifacts.cells import CellReader
from polyprune.artifacts.correlations import load_correlations
from polyprune.running.run import run

DISTINCT = {
    "llama": ("self_attn.q_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.down_proj"),
    "cohere": ("self_attn.q_proj", "self_attn.o_proj", "mlp.down_proj"),
}
"""Matrices of which no two read the same input."""


@pytest.mark.parametrize(("architecture", "spread"), [("llama", 0.08), ("cohere", -0.05)])
def test_layers_that_languages_use_less_alike_are_pruned_less(architecture: str, spread: float, tmp_path: Path) -> None:
    """CORR-1 of the dense model, OWL-2 of 1 − CORR-1, then language-aware Wanda with these sparsities."""
    model = random_model(architecture)
    register(model, tmp_path)
    assert run(correlation_arguments(tmp_path)) == 0
    found = load_correlations(tmp_path / "correlations.json", {"calibration": "de-en"})
    expected = []
    for layer in model.base_model.layers:  # type: ignore[union-attr]
        inputs = inputs_of(model, layer, DISTINCT[architecture], random_tokens(8, 24)).values()
        halves = [[half.double().square().mean(0).sqrt() for half in x.split(4 * 24)] for x in inputs]
        assert len(linears(layer)) == 7
        expected.append(np.mean([np.corrcoef(german, english)[0, 1] for german, english in halves]))
    assert found == pytest.approx(expected, abs=1e-6)

    output = tmp_path / "mask.safetensors"
    assert run(arguments(tmp_path, "lwanda", "0.60-correlation", output, correlation={"spread": spread})) == 0
    cell = CellReader(output)
    sparsities = cell.metadata["layer_sparsities"]
    unlike = [(max(found) - each) / (max(found) - min(found)) for each in found]
    mean = sum(unlike) / 3
    assert sparsities == pytest.approx([0.6 + 2 * spread * (mean - each) for each in unlike])

    def prune(name: str, weight: Tensor, x: Tensor) -> Tensor:
        n_removed = int(weight.shape[1] * sparsities[int(name.split(".")[2])])
        keep = lwanda_keep(weight, list(x.split(4 * 24)), 1.0, n_removed)
        assert (kept_of(cell, name).keep == keep).all(), name
        return weight * keep

    compress_plainly(model, random_tokens(8, 24), prune)


def test_text_of_another_calibration_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Which would say of other sequences that they are in a language."""
    register(random_model("llama"), tmp_path)
    assert run(correlation_arguments(tmp_path, "de-sw")) == 1
    assert "has languages ['de', 'en'], expected ['de', 'sw']" in capsys.readouterr().err


def test_correlations_of_another_text_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    register(random_model("llama"), tmp_path)
    assert run(correlation_arguments(tmp_path)) == 0
    register(random_model("llama"), tmp_path, n_sequences=6)
    assert run(arguments(tmp_path, "wanda", "0.60-correlation", tmp_path / "mask.safetensors")) == 1
    assert "correlations.json (correlations/1) has calibration_digest" in capsys.readouterr().err
