"""Shifts of prompt embeddings from dumps on disk: right layers, right languages, dense and compressed not swapped."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.helpers.headers import measured

from polyprune.artifacts.layer_rows import MEANS
from polyprune.artifacts.prompt_states import write_prompt_states
from polyprune.errors import UserError
from polyprune.maths.lsar import specific_basis
from polyprune.stages.measure_lsar import measure_lsar

LANGUAGES = ["de", "en", "sw", "zh"]
N_LAYERS, N_PROMPTS, D = 3, 12, 16
VARIANT = {"model": "m", "method": "sparsegpt", "scheme": "0.50", "calibration": "de", "seed": 0}


def states(language: int, layer: int, pruned: bool) -> np.ndarray:
    """Prompt means, float32 (P, d): content, the language's place, and damage that grows with layer and language."""
    content = np.random.default_rng(layer).standard_normal((N_PROMPTS, D))
    place = 4 * np.random.default_rng(50 + language).standard_normal(D)
    damage = np.random.default_rng(90 + 10 * language + layer).standard_normal(D)
    damage *= (1 + layer) * (1 + language) / np.linalg.norm(damage)
    return (content + place + (damage if pruned else 0)).astype(np.float32)


def write_dumps(folder: Path, pruned: bool, items: str = "item", **variant: Any) -> list[Path]:
    paths = [folder / f"{'cell' if pruned else 'dense'}-{language}.h5" for language in LANGUAGES]
    sizes = (np.full(N_PROMPTS, 5), np.full(N_PROMPTS, 8))
    for index, path in enumerate(paths):
        names = [f"{items} {n}" for n in range(N_PROMPTS)]
        about = measured(LANGUAGES[index], VARIANT | variant if pruned else None)
        with write_prompt_states(path, N_LAYERS, D, names, *sizes, about) as writer:
            for row in range(N_LAYERS + 2):
                writer.write_row(MEANS, row, states(index, row, pruned))
            distance = np.tile(np.arange(N_LAYERS + 2) * 10.0 * (index + 1), (N_PROMPTS, 1))
            writer.write_sums({"distance": distance} if pruned else {"norm": distance})
    return paths


def measure(folder: Path, seed: int = 0, calibration: str = "de") -> Path:
    variant = VARIANT | {"calibration": calibration, "seed": seed}
    output = folder / f"lsar-{calibration}-{seed}.parquet"
    measure_lsar(write_dumps(folder, False), write_dumps(folder, True, **variant), LANGUAGES, variant, output, {})
    return output


def one(rows: pd.DataFrame, **where: Any) -> float:
    for name, value in where.items():
        rows = rows[rows[name] == value]
    return rows["value"].item()


def test_whole_shifts_are_of_the_right_layer_and_language(tmp_path: Path):
    """The damage is (1 + layer)(1 + language) exactly; token sums were written as 10 · layer · (1 + language)."""
    rows = pd.read_parquet(measure(tmp_path))
    for index, language in enumerate(LANGUAGES):
        for row, layer in enumerate(["1", "2", "3", "L_normed"], start=1):
            where = {"layer": layer, "eval_language": language}
            assert one(rows, metric="prompt_shift", **where) == pytest.approx((1 + row) * (1 + index), rel=1e-5)
            assert one(rows, metric="token_shift", **where) == pytest.approx(10 * row * (1 + index) / 5)


@pytest.mark.parametrize("projector", ["per_model", "dense"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_parts_are_by_the_stated_projector(projector: str, rank: int, tmp_path: Path):
    """LSAR-2 and LSAR-3 by projecting every prompt; the basis is the dense model's, not the pruned one's."""
    rows = pd.read_parquet(measure(tmp_path))
    dense, pruned = (np.stack([states(i, 2, p) for i in range(4)]).astype(np.float64) for p in (False, True))
    basis = specific_basis(dense.mean(axis=1), rank)
    other = basis if projector == "dense" else specific_basis(pruned.mean(axis=1), rank)
    specific = dense @ basis @ basis.T - pruned @ other @ other.T
    agnostic = dense - pruned - specific
    for index, language in enumerate(LANGUAGES):
        where = {"layer": "2", "eval_language": language, "projector": projector, "rank": rank}
        expected = np.linalg.norm(agnostic[index], axis=1).mean()
        assert one(rows, metric="agnostic_shift", **where) == pytest.approx(expected, rel=1e-6)
        expected = np.linalg.norm(specific[index], axis=1).mean()
        assert one(rows, metric="specific_shift", **where) == pytest.approx(expected, rel=1e-6)


def test_the_flat_curve_and_its_controls(tmp_path: Path):
    """At the highest rank with a projector a model the agnostic means move alike in all languages; else they do not."""
    rows = pd.read_parquet(measure(tmp_path))
    of_mean = rows[(rows["metric"] == "agnostic_shift_of_mean") & (rows["layer"] == "1")]
    values = {p: of_mean[(of_mean["projector"] == p) & (of_mean["rank"] == 3)]["value"] for p in set(rows["projector"])}
    assert np.ptp(values["per_model"]) < 1e-5 * values["per_model"].max()
    for control in ("dense", "pooled", "random"):
        assert values[control].max() > 2 * values[control].min()
    lower = of_mean[(of_mean["projector"] == "per_model") & (of_mean["rank"] == 1)]["value"]
    assert np.ptp(lower) > 0.05 * lower.max()
    assert len(values["cross_fitted"]) == 4


def test_other_prompts_and_equal_languages_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    dense, cell = write_dumps(tmp_path, False), write_dumps(tmp_path, True, items="other")
    with pytest.raises(UserError, match=r"has other prompts than .*: LSAR needs parallel ones"):
        measure_lsar(dense, cell, LANGUAGES, VARIANT, tmp_path / "x.parquet", {})
    cell = write_dumps(tmp_path, True)
    with pytest.raises(UserError, match=r"dense-de\.h5 .*has language de, expected en"):
        measure_lsar([dense[0], dense[0], *dense[2:]], cell, LANGUAGES, VARIANT, tmp_path / "x.parquet", {})
    with pytest.raises(UserError, match=r"cell-de\.h5 .*has method sparsegpt, expected dense"):
        measure_lsar(cell, cell, LANGUAGES, VARIANT, tmp_path / "x.parquet", {})
    of, here = states, sys.modules[__name__]
    monkeypatch.setattr(here, "states", lambda index, row, pruned: of(max(index, 1), row, pruned))
    dense = write_dumps(tmp_path, False)
    with pytest.raises(UserError, match="layer 1: the languages' means span 2 directions, 3 are wanted"):
        measure_lsar(dense, cell, LANGUAGES, VARIANT, tmp_path / "x.parquet", {})
