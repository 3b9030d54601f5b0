"""Groups of neurons from activation files: ordered by the dense model, measured in the other, halves kept apart."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.helpers.headers import measured as header

from polyprune.artifacts.activations import LayerActivations, write_activations
from polyprune.errors import UserError
from polyprune.stages.measure_lape import measure_lape
from polyprune.stages.measure_mean_activations import measure_mean_activations

LANGUAGES = ["de", "en"]
TOKENS = np.array([100, 100, 50, 50])
# p of five neurons in German and English, the same in each block; neuron 4 is never active.
DENSE = {"de": [0.5, 0.2, 0.4, 0.0, 0.0], "en": [0.5, 0.1, 0.0, 0.3, 0.0]}
CELL = {"de": [0.1, 0.2, 0.3, 0.4, 0.5], "en": [0.4, 0.2, 0.1, 0.0, 0.0]}
CELL_VARIANT = {"model": "m", "method": "sparsegpt", "scheme": "0.50", "calibration": "de", "seed": 0}
DENSE_VARIANT = {"model": "m", "method": "dense", "scheme": "dense", "calibration": "dense", "seed": None}


def write(folder: Path, name: str, probabilities: dict[str, list[float]], tokens: np.ndarray = TOKENS) -> list[Path]:
    """Two layers; in the second one neurons are in reverse order. Outputs are ten times p, and twenty in the second."""
    paths = []
    for language, p in probabilities.items():
        paths.append(folder / f"{name}-{language}.h5")
        about = header(language, None if name == "dense" else CELL_VARIANT)
        with write_activations(paths[-1], 2, tokens, about) as writer:
            for layer in range(2):
                counts = np.outer(tokens, p[:: 1 - 2 * layer])
                neurons = {
                    "active": np.rint(counts).astype(np.int64),
                    "sum_abs_act": counts,
                    "sum_abs_out": 10 * (1 + layer) * counts,
                }
                total = tokens.sum() * (layer + 1.0)
                outputs = {
                    "o_proj": np.array([[1.0, -2, 3], [4, 5, 6]]) * total,
                    "down_proj": np.array([[3.0, 1, 2], [7, 8, 9]]) * total * (1 if name == "dense" else 0.5),
                }
                writer.write_layer(layer, LayerActivations(neurons, outputs))
    return paths


def measured(folder: Path, cell: bool = True, n_groups: int = 2) -> Path:
    dense, of_cell = write(folder, "dense", DENSE), write(folder, "cell", CELL)
    output = folder / ("cell.parquet" if cell else "dense.parquet")
    variant: dict[str, Any] = CELL_VARIANT if cell else DENSE_VARIANT
    measure_lape(dense, of_cell if cell else [], LANGUAGES, n_groups, variant, output, {})
    return output


def pick(
    rows: pd.DataFrame, statistic: str, layer: str = "0", series: str = "full", language: str | None = None
) -> list[float]:
    shown = rows[(rows["statistic"] == statistic) & (rows["layer"] == layer) & (rows["series"] == series)]
    shown = shown[shown["eval_language"] == language] if language else shown
    return shown.sort_values("group")["value"].tolist()


def entropy(*p: float) -> float:
    shares = [each / sum(p) for each in p if each]
    return -sum(share * math.log(share) for share in shares)


@pytest.mark.parametrize("layer", ["0", "1", "all"])
def test_groups_are_by_the_dense_model_and_values_by_the_cell(layer: str, tmp_path: Path):
    """Dense LAPE: neurons 2 and 3 are 0, 1 is H(2/3, 1/3), 0 is ln 2, 4 has none. Groups {2, 3} and {1, 0}."""
    rows = pd.read_parquet(measured(tmp_path))
    low, high = entropy(0.3, 0.1), entropy(0.4, 0.0)
    medians = pick(rows, "lape_median", layer)
    assert medians[0] == pytest.approx((low + high) / 2)
    assert medians[1] == pytest.approx((entropy(0.2, 0.2) + entropy(0.1, 0.4)) / 2)
    assert pick(rows, "p", layer, language="de") == pytest.approx([0.35, 0.15])
    assert pick(rows, "p", layer, language="en") == pytest.approx([0.05, 0.3])
    scale = {"0": 10, "1": 20, "all": 15}[layer]
    assert pick(rows, "|output|", layer, language="de") == pytest.approx([scale * 0.35, scale * 0.15])
    assert pick(rows, "p_max", layer) == pytest.approx([0.35, 0.3])
    assert pick(rows, "n_never_active", layer) == [0]


def test_never_active_neurons_of_the_dense_model_are_counted_and_left_out(tmp_path: Path):
    rows = pd.read_parquet(measured(tmp_path, cell=False))
    assert pick(rows, "n_never_active") == [1] and pick(rows, "n_never_active", "all") == [2]
    sizes = rows[(rows["statistic"] == "lape_median") & (rows["series"] == "full")].set_index(["layer", "group"])["n"]
    assert sizes.to_dict() == {("0", 0): 2, ("0", 1): 2, ("1", 0): 2, ("1", 1): 2, ("all", 0): 4, ("all", 1): 4}
    assert pick(rows, "lape_median")[0] == 0


def test_halves_are_of_different_blocks(tmp_path: Path):
    """In the first half neuron 0 is the specific one, in the second neuron 1: grouped by one, measured in the other."""
    for language, p in (("de", ([0.0, 0.5], [0.5, 0.0])), ("en", ([0.5, 0.5], [0.5, 0.5]))):
        counts = np.concatenate([np.outer([100, 100], p[0]), np.outer([50, 50], p[1])])
        neurons = {"active": counts.astype(np.int64), "sum_abs_act": counts, "sum_abs_out": counts}
        outputs = {name: np.zeros((2, 3)) for name in ("o_proj", "down_proj")}
        with write_activations(tmp_path / f"{language}.h5", 1, TOKENS, header(language)) as writer:
            writer.write_layer(0, LayerActivations(neurons, outputs))
    files = [tmp_path / "de.h5", tmp_path / "en.h5"]
    measure_lape(files, [], LANGUAGES, 2, DENSE_VARIANT, tmp_path / "lape.parquet", {})
    rows = pd.read_parquet(tmp_path / "lape.parquet")
    assert pick(rows, "lape_median", series="half") == pytest.approx([math.log(2), 0.0])
    assert pick(rows, "p", series="half", language="de") == pytest.approx([0.5, 0.0])


def test_one_block_cannot_be_halved(tmp_path: Path):
    files = write(tmp_path, "dense", DENSE, np.array([100]))
    with pytest.raises(UserError, match=r"activations of \[1\] blocks cannot be halved"):
        measure_lape(files, [], LANGUAGES, 2, DENSE_VARIANT, tmp_path / "x.parquet", {})


def test_mean_activations_are_per_token(tmp_path: Path):
    dense, cell = write(tmp_path, "dense", DENSE)[0], write(tmp_path, "cell", CELL)[0]
    output = tmp_path / "mean.parquet"
    measure_mean_activations(dense, cell, CELL_VARIANT, output, {})
    rows = pd.read_parquet(output)
    shown = rows[(rows["layer"] == 2) & (rows["matrix"] == "down_proj")].set_index("channel")
    assert shown["dense"].to_dict() == pytest.approx({0: 6, 1: 2, 2: 4})
    assert shown["pruned"].to_dict() == pytest.approx({0: 3, 1: 1, 2: 2})
    assert shown["dense_magnitude"].to_dict() == pytest.approx({0: 14, 1: 16, 2: 18})
