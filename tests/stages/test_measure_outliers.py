"""The file that all cells with OWL's sparsities share: what it says, and that it belongs to a model and its text."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest
from tests.helpers.cells import arguments, outlier_arguments, register
from tests.helpers.tiny import random_model

from polyprune.artifacts.cells import CellReader
from polyprune.artifacts.json_files import save_record
from polyprune.artifacts.outliers import load_outliers
from polyprune.running.run import run


def test_sparsities_by_layer_follow_the_shares_of_outliers(tmp_path: Path) -> None:
    """OWL-2; more outliers, lower sparsity."""
    register(random_model("llama"), tmp_path)
    assert run(outlier_arguments(tmp_path, 2.0)) == 0
    shares = load_outliers(tmp_path / "outliers.json", {"outlier_factor": 2.0})
    assert len(shares) == 3 and all(0 < share < Fraction(1, 4) for share in shares)
    assert (tmp_path / "outliers.log").read_text().count("outlier share") == 3

    assert run(arguments(tmp_path, "wanda", "0.60-owl", tmp_path / "mask.safetensors")) == 0
    sparsities = CellReader(tmp_path / "mask.safetensors").metadata["layer_sparsities"]
    assert sum(sparsities) / 3 == pytest.approx(0.6) and max(sparsities) - min(sparsities) == pytest.approx(0.16)
    assert sorted(range(3), key=lambda layer: shares[layer]) == sorted(range(3), key=lambda layer: -sparsities[layer])


def test_a_larger_factor_finds_fewer_outliers(tmp_path: Path) -> None:
    """OWL-1."""
    register(random_model("llama"), tmp_path)
    found = []
    for factor in (1.0, 2.0, 3.0):
        assert run(outlier_arguments(tmp_path, factor)) == 0
        found.append(load_outliers(tmp_path / "outliers.json"))
    assert all(few < more < most for most, more, few in zip(*found, strict=True))


@pytest.mark.parametrize("name", ["model_digest", "calibration_digest"])
def test_outliers_of_another_model_or_text_are_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register(random_model("llama"), tmp_path)
    assert run(outlier_arguments(tmp_path, 2.0)) == 0
    file = tmp_path / "outliers.json"
    content = json.loads(file.read_text())
    save_record(file, "outliers/2", {**content, name: "another"})
    assert run(arguments(tmp_path, "wanda", "0.60-owl", tmp_path / "mask.safetensors")) == 1
    assert f"outliers.json (outliers/2) has {name} another, expected" in capsys.readouterr().err
