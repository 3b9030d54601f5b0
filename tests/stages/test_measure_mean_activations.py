"""Mean outputs of linear layers, channel by channel: of the dense model and of a cell, per token."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.helpers.headers import measured

from polyprune.artifacts.activations import LayerActivations, write_activations
from polyprune.artifacts.measurements import MEAN_ACTIVATIONS
from polyprune.errors import UserError
from polyprune.stages.measure_mean_activations import measure_mean_activations

VARIANT = {"model": "m", "method": "wanda", "scheme": "0.50", "calibration": "de", "seed": 1}
N_LAYERS, WIDTH = 3, 4
TOKENS = np.array([5, 3, 2])
Outputs = Mapping[str, np.ndarray]
"""By matrix, (tokens, layers, channels)."""


def outputs_of(seed: int) -> Outputs:
    draws = np.random.default_rng(seed)
    return {matrix: draws.normal(size=(TOKENS.sum(), N_LAYERS, WIDTH)) for matrix in ("o_proj", "down_proj")}


def write(path: Path, outputs: Outputs) -> Path:
    """The activation file of a model that puts out `outputs`: the dense one by its name, else the cell."""
    about = measured("de", None if path.name == "dense.h5" else VARIANT)
    with write_activations(path, N_LAYERS, TOKENS, about) as writer:
        for layer in range(N_LAYERS):
            neurons = {name: np.zeros((len(TOKENS), 6)) for name in ("active", "sum_abs_act", "sum_abs_out")}
            sums = {name: np.stack([y[:, layer].sum(0), np.abs(y[:, layer]).sum(0)]) for name, y in outputs.items()}
            writer.write_layer(layer, LayerActivations(neurons, sums))
    return path


def measure(folder: Path, output: Path, dense: Outputs, pruned: Outputs) -> list[dict[str, Any]]:
    files = write(folder / "dense.h5", dense), write(folder / "cell.h5", pruned)
    measure_mean_activations(*files, VARIANT, output, {"code": "abc"})
    return pq.ParquetFile(output).read().to_pylist()


def test_every_channel_has_its_means_of_both_models(tmp_path: Path):
    """Token by token from the outputs themselves; layers are counted from 1."""
    dense, pruned = outputs_of(0), outputs_of(1)
    rows = measure(tmp_path, tmp_path / "means.parquet", dense, pruned)
    keyed = {(row["matrix"], row["layer"], row["channel"]): row for row in rows}
    assert len(keyed) == len(rows) == 2 * N_LAYERS * WIDTH
    for (matrix, layer, channel), row in keyed.items():
        h, p = (list(outputs[matrix][:, layer - 1, channel]) for outputs in (dense, pruned))
        assert row == VARIANT | {
            "layer": layer,
            "matrix": matrix,
            "channel": channel,
            "n": 10,
            "dense": pytest.approx(sum(h) / 10),
            "pruned": pytest.approx(sum(p) / 10),
            "dense_magnitude": pytest.approx(sum(map(abs, h)) / 10),
            "pruned_magnitude": pytest.approx(sum(map(abs, p)) / 10),
        }
    schema = pq.read_schema(tmp_path / "means.parquet")
    assert schema.remove_metadata() == pa.schema(MEAN_ACTIVATIONS.fields)
    header = json.loads(schema.metadata[b"polyprune"])
    assert (header["code"], header["variant"]) == ("abc", VARIANT)


def test_a_model_beside_itself_and_the_same_bytes_twice(tmp_path: Path):
    same = outputs_of(2)
    for name in ("a", "b"):
        rows = measure(tmp_path, tmp_path / name, same, same)
        assert all(row["dense"] == row["pruned"] for row in rows)
        assert all(row["dense_magnitude"] == row["pruned_magnitude"] >= abs(row["dense"]) for row in rows)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    measure(tmp_path, tmp_path / "b", same, outputs_of(3))
    assert (tmp_path / "a").read_bytes() != (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("damaged", ["dense.h5", "cell.h5"])
def test_a_damaged_file_is_refused_and_nothing_is_written(damaged: str, tmp_path: Path):
    files = [write(tmp_path / name, outputs_of(0)) for name in ("dense.h5", "cell.h5")]
    (tmp_path / damaged).write_bytes(b"damaged")
    with pytest.raises(UserError, match=rf"{damaged} cannot be read as HDF5 .* delete it and make it again"):
        measure_mean_activations(files[0], files[1], VARIANT, tmp_path / "x.parquet", {})
    assert not (tmp_path / "x.parquet").exists()
