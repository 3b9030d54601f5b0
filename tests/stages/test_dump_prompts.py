"""Dumps of prompts and counts of activations as rules make them: what the files say of themselves, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from tests.model.test_compression import run_engine
from tests.model.tiny import random_model, random_tokens, save_checkpoint

from polyprune.artifacts.activations import Activations
from polyprune.artifacts.prompt_states import PromptStates
from polyprune.artifacts.prompts import PromptSet, save_prompt_set
from polyprune.artifacts.tokens import TokenSet, save_tokens
from polyprune.errors import UserError
from polyprune.model.source import read_manifest, write_manifest
from polyprune.settings import Engine
from polyprune.stages.count_activations import count_activations, first_tokens
from polyprune.stages.dump_prompts import dump_prompts

ENGINE = Engine(device="cpu", tokens_per_batch=64)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The manifest of a tiny model."""
    folder = save_checkpoint(random_model("cohere"), tmp_path / "model")
    write_manifest(tmp_path / "model.json", {"kind": "folder", "path": str(folder)}, folder, {})
    return tmp_path / "model.json"


def cell_of(model: Path, digest: str, path: Path) -> Path:
    metadata = {"model_digest": digest, "method": "wanda", "scheme": "0.50"}
    run_engine(model.parent / "model", random_tokens(4, 16), "wanda", "0.50", path, metadata=metadata)
    return path


def test_dumps_say_what_they_are_of(model: Path, tmp_path: Path):
    prompts = PromptSet(
        random_tokens(1, 20)[0].numpy().astype(np.int32),
        np.array([0, 1, 1, 1, 0] * 4, np.uint8),
        np.array([0, 10, 20]),
        {"items": ["a", "b"], "language": "de"},
    )
    save_prompt_set(tmp_path / "de.safetensors", prompts)
    cell = cell_of(model, read_manifest(model)["digest"], tmp_path / "mask.safetensors")
    for cells, name in (([], "dense.h5"), ([cell], "cell.h5")):
        dump_prompts(model, cells, [tmp_path / "de.safetensors"], [tmp_path / name], ENGINE, {"job": "j"})
    with PromptStates(tmp_path / "cell.h5") as states:
        assert states.items == ["a", "b"] and states.n_content.tolist() == [6, 6]
        assert states.sums("distance")[:, 1:].min() > 0 and not states.sums("distance")[:, 0].any()
    with h5py.File(tmp_path / "cell.h5") as file, h5py.File(tmp_path / "dense.h5") as dense:
        about, about_dense = (json.loads(str(each.attrs["provenance"])) for each in (file, dense))
    assert about["cell"]["method"] == "wanda" and about_dense["cell"] is None
    assert about["data_digest"] == about_dense["data_digest"] == prompts.digest
    assert (about["dtype"], about["n_layers"], about["d_model"]) == ("float32", 3, 32)
    assert about["data"]["language"] == "de" and about["job"] == "j"


def test_counts_are_over_whole_sequences_up_to_the_tokens_asked_for(model: Path, tmp_path: Path):
    tokens = random_tokens(9, 8).numpy().astype(np.int32)
    data = TokenSet(tokens, np.ones_like(tokens, dtype=np.int16), {"language": "de"})
    save_tokens(tmp_path / "de.safetensors", data)
    for wanted, counted in ((70, 64), (10**6, 72), (1, 8)):
        assert first_tokens(data, wanted).tokens.size == counted
    count_activations(model, [], tmp_path / "de.safetensors", 70, tmp_path / "de.h5", ENGINE, {})
    with Activations(tmp_path / "de.h5") as file:
        assert file.n_tokens.tolist() == [8] * 8


def test_cells_of_other_weights_are_refused(model: Path, tmp_path: Path):
    cell = cell_of(model, "0" * 16, tmp_path / "mask.safetensors")
    with pytest.raises(UserError, match="was made from another version of this model"):
        dump_prompts(model, [cell], [], [], ENGINE, {})
