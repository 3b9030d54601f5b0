"""Routing of a variant on texts of several languages: every row, what the file says of itself, foreign cells."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from tests.helpers.engine import CPU, run_engine
from tests.helpers.families import VOCABULARY, tiny_config, tiny_model
from tests.helpers.tiny import save_checkpoint
from tests.helpers.variants import ENGINE, RUN, TEXT
from torch import Tensor, nn

from polyprune.artifacts.measurements import ROUTING
from polyprune.artifacts.tables import read_header
from polyprune.artifacts.tokens import save_tokens
from polyprune.errors import UserError
from polyprune.model.source import read_manifest, write_manifest
from polyprune.stages.measure_routing import measure_routing

LANGUAGES = ["de", "sw"]
DENSE = {"model": "m", **dict.fromkeys(("method", "scheme", "calibration"), "dense"), "seed": None}
CELL = {"model": "m", "method": "wanda", "scheme": "0.50", "calibration": "de", "seed": 3}
N_COUNTED = 3
"""Of nine sequences of eight tokens: as many as 30 tokens fill."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    source = save_checkpoint(tiny_model(tiny_config("olmoe", num_hidden_layers=2)), folder / "model")
    write_manifest(folder / "model.json", {"kind": "folder", "path": str(source)}, source, {})
    digest = read_manifest(folder / "model.json")["digest"]
    for seed, language in enumerate(LANGUAGES):
        tokens = np.random.default_rng(seed).integers(2, VOCABULARY, (9, 8)).astype(np.int32)
        about = {**TEXT.metadata, "language": language, "model_digest": digest}
        save_tokens(folder / f"{language}.safetensors", replace(TEXT, tokens=tokens, metadata=about))
    return folder / "model.json"


def measured(model: Path, cells: list[Path], variant: dict[str, object], output: Path) -> list[dict[str, object]]:
    texts = [model.parent / f"{language}.safetensors" for language in LANGUAGES]
    measure_routing(model, cells, texts, LANGUAGES, 30, variant, output, CPU, ENGINE, RUN)
    return pq.read_table(output).to_pylist()


@torch.inference_mode()
def chosen(seed: int) -> list[np.ndarray]:
    """By transformers' own router: how often each expert of each layer is."""
    model = tiny_model(tiny_config("olmoe", num_hidden_layers=2))
    found: list[np.ndarray] = []

    def note(_: nn.Module, __: object, output: tuple[Tensor, ...]) -> None:
        found.append(torch.bincount(output[-1].flatten(), minlength=4).numpy())

    for name, module in model.named_modules():
        if name.endswith("mlp.gate"):
            module.register_forward_hook(note)
    tokens = np.random.default_rng(seed).integers(2, VOCABULARY, (9, 8))[:N_COUNTED]
    model(input_ids=torch.from_numpy(tokens), use_cache=False)
    return found


def test_rows_are_the_shares_of_each_language_layer_and_expert(model: Path, tmp_path: Path) -> None:
    """ROUTE-1; the first sequences only."""
    rows = measured(model, [], DENSE, tmp_path / "routing.parquet")
    expected = [
        DENSE | {"layer": layer, "expert": expert, "eval_language": language, "n": 2 * 8 * N_COUNTED}
        | {"value": count / (2 * 8 * N_COUNTED), "removed": False}
        for seed, language in enumerate(LANGUAGES)
        for layer, counts in enumerate(chosen(seed))
        for expert, count in enumerate(counts)
    ]  # fmt: skip
    assert rows == [{name: row[name] for name, _ in ROUTING.fields} for row in expected]
    header = read_header(tmp_path / "routing.parquet", ROUTING.schema)
    assert header["variant"] == DENSE and header["cell"] is None and header["code"] == "abc"
    assert set(header["sources"]) == {"model", "text de", "text sw"}
    assert header["sources"]["model"] == read_manifest(model)["digest"]


def test_a_cell_has_its_own_and_one_of_other_weights_is_refused(model: Path, tmp_path: Path) -> None:
    about = {**CELL, "model_digest": read_manifest(model)["digest"], "calibration_digest": "c" * 16, "compression": {}}
    tokens = torch.randint(2, VOCABULARY, (4, 16), generator=torch.Generator().manual_seed(0))
    path = tmp_path / "mask.safetensors"
    run_engine(model.parent / "model", tokens, "wanda", "0.50", path, metadata=about)
    rows, dense = (
        measured(model, cells, variant, tmp_path / f"{len(cells)}.parquet")
        for cells, variant in (([path], CELL), ([], DENSE))
    )
    assert [row["value"] for row in rows] != [row["value"] for row in dense]
    header = read_header(tmp_path / "1.parquet", ROUTING.schema)
    assert header["sources"]["calibration text de seed3"] == "c" * 16 and header["cell"]["method"] == "wanda"
    run_engine(model.parent / "model", tokens, "wanda", "0.50", path, metadata=about | {"model_digest": "0" * 16})
    with pytest.raises(UserError, match=r"mask\.safetensors .* has model_digest 0{16}, expected"):
        measured(model, [path], CELL, tmp_path / "x.parquet")
    assert not (tmp_path / "x.parquet").exists()
