"""A composed cell: each layer bit by bit from where its spelling says, and parts that do not belong together."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.helpers.engine import CPU, METHODS
from tests.helpers.tiny import random_model, random_tokens, save_checkpoint

from polyprune.artifacts.cells import CellReader, join_layers
from polyprune.errors import UserError
from polyprune.grammar.schemes import parse_scheme
from polyprune.methods.job import Job
from polyprune.model.calibration import Calibration
from polyprune.model.checkpoint import Checkpoint
from polyprune.model.compression import compress
from polyprune.model.decoder import Decoder
from polyprune.model.source import read_manifest, write_manifest
from polyprune.settings.methods import Compression
from polyprune.stages.compose_cell import compose_cell

CALIBRATIONS = ("de", "en")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifest of a model of three layers."""
    folder = tmp_path_factory.mktemp("model")
    checkpoint = save_checkpoint(random_model("llama"), folder / "checkpoint")
    write_manifest(folder / "model.json", {"kind": "folder", "path": str(checkpoint)}, checkpoint, {})
    return folder / "model.json"


def write_cell(
    model: Path, path: Path, method: str, scheme: str, shares: Sequence[str] = (), **about: Any
) -> CellReader:
    """A cell calibrated on tokens of its own; `shares` are the layers' sparsities, `about` is set on top of its header.

    Its calibration is the name of the file.
    """
    tokens = random_tokens(4, 16, seed=len(path.stem) + ord(path.stem[0]))
    calibration = Calibration(Decoder(Checkpoint(model.parent / "checkpoint"), CPU), tokens, 4, False, {})
    job = Job(
        parse_scheme(scheme), Compression().model_dump(), 4, layer_sparsities=tuple(map(Fraction, shares)) or None
    )
    header = {"method": method, "scheme": scheme, "calibration": path.stem, "seed": 3, "dtype": "float32"}
    header |= {"compression": {"damping": 0.01}, "calibration_digest": f"digest of {path.stem}"}
    header |= {"model_digest": read_manifest(model)["digest"], **about}
    header |= {"layer_sparsities": [float(Fraction(share)) for share in shares]} if shares else {}
    compress(calibration, METHODS[method], job, path.with_suffix(".layers"), header)
    join_layers(path.with_suffix(".layers"), 3, path, header)
    return CellReader(path)


def compose(model: Path, output: Path, parts: Sequence[Path], method: str, scheme: str) -> CellReader:
    """The cell as the rule has it made; the first of `parts` is the rest."""
    provenance = {"code": "abc", "method": method, "scheme": scheme, "calibration": "de", "seed": 3}
    compose_cell(model, parts[0], list(parts[1:]), method, scheme, "de", 3, 3, output, provenance)
    return CellReader(output)


def layers_of(cell: CellReader) -> dict[int, dict[str, str]]:
    """Digests of a cell's tensors by layer, from 0."""
    found: dict[int, dict[str, str]] = {}
    for name, digest in cell._file.digests.items():  # pyright: ignore[reportPrivateUsage]
        found.setdefault(int(name.split(".")[2]), {})[name] = digest
    return found


@pytest.mark.parametrize(
    ("method", "plain", "ending", "german"),
    [
        ("wanda", "0.50", "layer3-from-en", {0, 1}),
        ("sparsegpt", "0.50", "layers1to2-from-en", {2}),
        ("sparsegpt", "2of4", "ends-from-en", {1}),
        ("gptq", "w4g16", "layer2-from-en", {0, 2}),
    ],
)
def test_each_layer_is_that_of_the_cell_it_is_from(
    method: str, plain: str, ending: str, german: set[int], model: Path, tmp_path: Path
) -> None:
    de, en = (write_cell(model, tmp_path / f"{each}.safetensors", method, plain) for each in CALIBRATIONS)
    whole = compose(model, tmp_path / "cell.safetensors", (de.path, en.path), method, f"{plain}-{ending}")
    sources = {index: layers_of(de if index in german else en)[index] for index in range(3)}
    assert layers_of(whole) == sources
    assert all(layers_of(de)[index] != layers_of(en)[index] for index in range(3))
    assert list(whole.columns) == list(de.columns) and not (tmp_path / "cell.safetensors.layers").exists()
    about = whole.metadata
    assert (about["scheme"], about["calibration"], about["seed"]) == (f"{plain}-{ending}", "de", 3)
    assert (about["rest"]["calibration"], about["part"]["calibration"]) == CALIBRATIONS
    assert about["calibration_digest"] == "digest of de" and about["compression"] == {"damping": 0.01}


@pytest.mark.parametrize(("method", "plain"), [("sparsegpt", "0.50"), ("gptq", "w4g16")])
def test_layers_from_the_dense_model_are_not_in_the_cell(method: str, plain: str, model: Path, tmp_path: Path) -> None:
    """Restored after pruning: what is left was pruned behind a pruned first layer, other than with `dense-ends`."""
    de = write_cell(model, tmp_path / "de.safetensors", method, plain)
    whole = compose(model, tmp_path / "cell.safetensors", (de.path,), method, f"{plain}-ends-from-dense")
    assert layers_of(whole) == {1: layers_of(de)[1]} and len(whole.columns) == 7
    assert whole.metadata["part"] == "dense" and whole.weight("model.layers.0.mlp.up_proj") is None
    if method == "sparsegpt":
        spared = write_cell(model, tmp_path / "spared.safetensors", method, "0.50-dense-ends", calibration="de")
        name = "model.layers.1.mlp.up_proj"
        one, other = whole.weight(name), spared.weight(name)
        assert one and other and not torch.equal(one.dense(torch.zeros(48, 32)), other.dense(torch.zeros(48, 32)))


def test_sparsities_by_layer_come_with_their_layers(model: Path, tmp_path: Path) -> None:
    de = write_cell(model, tmp_path / "de.safetensors", "wanda", "0.50-owl", ("1/2", "3/8", "5/8"))
    en = write_cell(model, tmp_path / "en.safetensors", "wanda", "0.50-owl", ("3/8", "5/8", "1/2"))
    parts = (de.path, en.path)
    whole = compose(model, tmp_path / "whole.safetensors", parts, "wanda", "0.50-owl-layers2to3-from-en")
    assert whole.metadata["layer_sparsities"] == [0.5, 0.625, 0.5]
    assert layers_of(whole) == {0: layers_of(de)[0], 1: layers_of(en)[1], 2: layers_of(en)[2]}
    middle = compose(model, tmp_path / "middle.safetensors", (de.path,), "wanda", "0.50-owl-ends-from-dense")
    assert middle.metadata["layer_sparsities"] == [0, 0.375, 0]


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"seed": 4}, "has seed 4, expected 3"),
        ({"calibration": "ru"}, "has calibration ru, expected en"),
        ({"model_digest": "0" * 16}, "has model_digest 0000000000000000, expected"),
        ({"compression": {"damping": 0.1}}, r"has compression \{'damping': 0.1\}, but .*de.safetensors has"),
    ],
)
def test_cells_that_do_not_belong_together_are_refused(
    about: dict[str, Any], message: str, model: Path, tmp_path: Path
) -> None:
    de = write_cell(model, tmp_path / "de.safetensors", "wanda", "0.50")
    en = write_cell(model, tmp_path / "en.safetensors", "wanda", "0.50", **about)
    with pytest.raises(UserError, match=message):
        compose(model, tmp_path / "cell.safetensors", (de.path, en.path), "wanda", "0.50-layer1-from-en")
    assert not (tmp_path / "cell.safetensors").exists()
