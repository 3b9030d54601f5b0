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
from polyprune.report.figures.subspaces import SPREAD, figure_rows
from polyprune.settings.studies import Figure
from polyprune.stages.measure_lsar import measure_lsar
from polyprune.stages.plot_lsar import plot_lsar

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


def figure(draws: str, layers: list[int] | None = None, rank: int | None = None) -> Figure:
    return Figure(
        title="Title", draws=draws, grids=["g"], layers=layers or [], matrix=None, projector="per_model", rank=rank
    )


def test_figures_count_layers_as_transformers_does_and_average_seeds(tmp_path: Path):
    """Layer 3 of 3 is the final norm's output; the raw one is not drawn."""
    rows = pd.concat([pd.read_parquet(measure(tmp_path, seed)) for seed in (0, 1)], ignore_index=True)
    rows.loc[rows["seed"] == 1, "value"] *= 3
    shown = figure_rows(rows, figure("prompt_shift"))
    assert sorted(set(shown["layer"])) == [1, 2, 3] and set(shown["n_seeds"]) == {2}
    last = shown[(shown["layer"] == 3) & (shown["eval_language"] == "sw")]
    assert last["value"].item() == pytest.approx(2 * 5 * 3, rel=1e-5)
    assert (last["low"].item(), last["high"].item()) == pytest.approx((15, 45), rel=1e-5)
    agnostic = figure_rows(rows, figure("agnostic_shift", [2], rank=2))
    assert (
        set(agnostic["rank"]) == {2} and set(agnostic["projector"]) == {"per_model"} and set(agnostic["layer"]) == {2}
    )
    controls = figure_rows(rows, figure("shift_controls", [1, 2]))
    spread = controls[controls["metric"] == SPREAD]
    assert set(spread["projector"]) == set(rows["projector"].dropna()) and set(spread["rank"]) == {1, 2, 3}
    with pytest.raises(UserError, match="rank 4 was not measured; the highest is 3"):
        figure_rows(rows, figure("agnostic_shift", rank=4))


@pytest.mark.parametrize("draws", ["token_shift", "shift_overview", "shift_controls"])
def test_figures_are_drawn_twice_alike(draws: str, tmp_path: Path):
    files = [measure(tmp_path, 0, "de"), measure(tmp_path, 0, "zh")]
    names = [tmp_path / f"figure.{kind}" for kind in ("parquet", "pdf", "png")]
    drawn = figure(draws, [1] if draws == "shift_controls" else None)
    plot_lsar(files, drawn, "Model", names[0], names[1], names[2], {})
    before = [name.read_bytes() for name in names]
    plot_lsar(files, drawn, "Model", names[0], names[1], names[2], {})
    assert [name.read_bytes() for name in names] == before
