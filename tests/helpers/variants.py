"""A tiny model and two cells of it, and what files measured on them say of their origin."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from tests.helpers.engine import put_weights, run_engine
from tests.helpers.tiny import random_model, random_tokens, save_checkpoint
from transformers import PreTrainedModel

from polyprune.artifacts.cells import CellReader
from polyprune.artifacts.prompts import PromptSet, save_prompt_set
from polyprune.artifacts.tokens import TokenSet, save_tokens
from polyprune.model.source import read_manifest, write_manifest
from polyprune.settings.engine import Engine

ARCHITECTURE = "cohere"
ENGINE = Engine(tokens_per_batch=64)
ORIGIN = {"dataset": "allenai/c4", "revision": "e" * 40, "split": "evaluation", "tokenizer_digest": "d" * 64}
TEXT = TokenSet(
    random_tokens(9, 8).numpy().astype(np.int32),
    np.ones((9, 8), np.int32),
    np.zeros((9, 8), np.uint8),
    ORIGIN | {"language": "de", "template": False, "content": "all tokens"},
)
OTHER_TEXT = replace(TEXT, tokens=random_tokens(9, 8, seed=5).numpy().astype(np.int32))
PROMPTS = PromptSet(
    random_tokens(1, 20)[0].numpy().astype(np.int32),
    np.array([0, 1, 1, 1, 0] * 4, np.uint8),
    np.array([0, 10, 20]),
    ORIGIN | {"language": "de", "template": True, "content": "the user's", "items": ["a", "b"]},
)
CALIBRATIONS = ("de", "zh")
RUN = {"code": "abc", "job": "dump x", "torch": "9.9"}
PLACES = {"layer", "prompts/item", "tokens/sequence", "tokens/position", "tokens/token_id"}
"""Data sets that are names and indices, which have no unit."""


@contextmanager
def tiny_of_the_hub(folder: Path) -> Iterator[Path]:
    """The manifest of a tiny model, which says that it is the hub's; texts and prompts beside it."""
    checkpoint = save_checkpoint(random_model(ARCHITECTURE), folder / "model")
    source = {"kind": "hub", "id": "CohereForAI/aya", "revision": "f" * 40}
    write_manifest(folder / "model.json", source, checkpoint, {})
    for name, text in (("text", TEXT), ("other", OTHER_TEXT)):
        save_tokens(folder / f"{name}.safetensors", replace(text, metadata=_of_model(text, folder / "model.json")))
    prompts = replace(PROMPTS, metadata=_of_model(PROMPTS, folder / "model.json"))
    save_prompt_set(folder / "prompts.safetensors", prompts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("polyprune.model.source.cached_model", lambda *_: checkpoint)
        yield folder / "model.json"


def _of_model(data: TokenSet | PromptSet, model: Path) -> dict[str, Any]:
    """What a file of these tokens says besides."""
    return {**data.metadata, "model_digest": read_manifest(model)["digest"]}


def cells_of(model: Path) -> list[Path]:
    """A cell for each of `CALIBRATIONS`."""
    paths = [model.parent / f"mask-{calibration}.safetensors" for calibration in CALIBRATIONS]
    for seed, (calibration, path) in enumerate(zip(CALIBRATIONS, paths, strict=True)):
        _write_cell(model, path, read_manifest(model)["digest"], calibration, seed)
    return paths


def stranger(model: Path, path: Path) -> Path:
    """A cell that was made from other weights."""
    _write_cell(model, path, "0" * 16, "de", 0)
    return path


def _write_cell(model: Path, path: Path, digest: str, calibration: str, seed: int) -> None:
    metadata = {"model_digest": digest, "method": "wanda", "scheme": "0.50", "calibration": calibration, "seed": seed}
    tokens = random_tokens(4, 16, seed=seed)
    run_engine(model.parent / "model", tokens, "wanda", "0.50", path, metadata=metadata | {"compression": {}})


def model_with(cell: Path | None) -> PreTrainedModel:
    """The tiny model in transformers, with a cell's weights."""
    model = random_model(ARCHITECTURE)
    if cell is not None:
        put_weights(model, CellReader(cell))
    return model


def assert_says_what_it_is_of(
    path: Path, model: Path, schema: str, data: TokenSet | PromptSet, cell: int | None, hook: str
) -> None:
    """Every root attribute of a file that was measured with `ENGINE` and `RUN`; `cell` counts in `CALIBRATIONS`."""
    with h5py.File(path) as file:
        found: dict[str, Any] = dict(file.attrs)
    index = json.loads(found.pop("index"))["attributes"]
    assert len(found.pop("seal")) == 32 and index == found
    provenance = json.loads(found.pop("provenance"))
    assert hook in found.pop("hooks")
    compression: Mapping[str, Any] = dict.fromkeys(("method", "scheme", "calibration"), "dense")
    if cell is not None:
        compression = {"method": "wanda", "scheme": "0.50", "calibration": CALIBRATIONS[cell], "seed": cell}
    assert found == {
        "schema": schema,
        "model": "CohereForAI/aya",
        "model_revision": "f" * 40,
        "model_digest": read_manifest(model)["digest"],
        "architecture": "CohereForCausalLM",
        "dtype": "float32",
        "n_layers": 3,
        "d_model": 32,
        "dataset": "allenai/c4",
        "dataset_revision": "e" * 40,
        "split": "evaluation",
        "language": "de",
        "data_digest": data.digest,
        "tokenizer_digest": "d" * 64,
        "template": data.metadata["template"],
        "tokens": data.metadata["content"],
        **compression,
    }
    assert (provenance["code"], provenance["torch"]) == ("abc", "9.9") and "job" not in provenance
    assert provenance["transformers"] == version("transformers")
    assert provenance["data"] == {name: value for name, value in _of_model(data, model).items() if name != "items"}
    if cell is None:
        assert provenance["cell"] is None
    else:
        assert provenance["cell"]["seed"] == cell and "columns" not in provenance["cell"]


def without_unit(path: Path) -> set[str]:
    """Names of the data sets of a file that say no unit."""
    lacking: set[str] = set()
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                lacking.add(name) if isinstance(item, h5py.Dataset) and "unit" not in item.attrs else None
            )
        )
    return lacking
