"""A model with a manifest and a calibration shard, and cells made from them by the stage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from tests.helpers.tiny import random_tokens, save_checkpoint
from transformers import PreTrainedModel

from polyprune.artifacts.cells import CellReader
from polyprune.artifacts.tokens import TokenSet, save_tokens
from polyprune.artifacts.weights import SparseWeight
from polyprune.model.source import read_manifest, write_manifest
from polyprune.settings.methods import Compression


def register(model: PreTrainedModel, folder: Path, shards: int = 1, n_sequences: int = 8, length: int = 24) -> None:
    """Write `folder`/checkpoint, model.json and tokens.safetensors."""
    checkpoint = save_checkpoint(model, folder / "checkpoint", shards)
    write_manifest(folder / "model.json", {"kind": "folder", "path": str(checkpoint)}, checkpoint, {})
    tokens = random_tokens(n_sequences, length).numpy().astype(np.int32)
    digest = read_manifest(folder / "model.json")["digest"]
    metadata = {"model_digest": digest, "languages": ["de", "en"], "seed": 0}
    save_tokens(
        folder / "tokens.safetensors",
        TokenSet(tokens, np.ones(tokens.shape, np.int32), np.zeros(tokens.shape, np.uint8), metadata),
    )


def kept_of(cell: CellReader, name: str) -> SparseWeight:
    """What a pruned cell keeps of a linear layer that it holds."""
    weight = cell.weight(name)
    assert isinstance(weight, SparseWeight), f"{cell.path}: {name}"
    return weight


def arguments(folder: Path, method: str, scheme: str, output: Path, **more: Any) -> list[str]:
    """The command line of `prune_model`, as the rule has it."""
    settings = {
        "code": "0" * 16,
        "method": method,
        "scheme": scheme,
        "calibration": "de-en",
        "seed": 0,
        "compression": Compression(**more).read_by(method, scheme),
    }
    words = f"prune_model --model {folder}/model.json --tokens {folder}/tokens.safetensors --threads 1".split()
    measured = {"owl": "outliers", "correlation": "correlations"}.get(scheme.rpartition("-")[2])
    words += ["--settings", json.dumps(settings), "--output", str(output), "--log", f"{output}.log"]
    return [*words, "--allocation", *([f"{folder}/{measured}.json"] if measured else [])]


def correlation_arguments(folder: Path, calibration: str = "de-en") -> list[str]:
    """The command line of `measure_correlations`, as the rule has it."""
    words = f"measure_correlations --model {folder}/model.json --tokens {folder}/tokens.safetensors --threads 1".split()
    settings = json.dumps({"code": "0" * 16, "calibration": calibration})
    output = ["--output", f"{folder}/correlations.json", "--log", f"{folder}/correlations.log"]
    return [*words, "--settings", settings, *output]


def outlier_arguments(folder: Path, factor: float) -> list[str]:
    """The command line of `measure_outliers`, as the rule has it."""
    words = f"measure_outliers --model {folder}/model.json --tokens {folder}/tokens.safetensors --threads 1".split()
    settings = json.dumps({"code": "0" * 16, "outlier_factor": factor})
    return [*words, "--settings", settings, "--output", f"{folder}/outliers.json", "--log", f"{folder}/outliers.log"]
