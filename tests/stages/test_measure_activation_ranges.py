"""Ranges of a dense model's inputs: every row against hooks on transformers' own forward; experts; foreign text."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from tests.helpers.engine import CPU
from tests.helpers.families import VOCABULARY, tiny_config, tiny_model
from tests.helpers.tiny import save_checkpoint
from tests.helpers.variants import ENGINE, RUN, TEXT
from torch import Tensor, nn

from polyprune.artifacts.measurements import ACTIVATION_RANGES
from polyprune.artifacts.tables import read_header
from polyprune.artifacts.tokens import save_tokens
from polyprune.errors import UserError
from polyprune.model.calibration import Calibration
from polyprune.model.checkpoint import Checkpoint
from polyprune.model.decoder import Decoder
from polyprune.model.ranges import input_ranges
from polyprune.model.source import read_manifest, write_manifest
from polyprune.stages.measure_activation_ranges import measure_activation_ranges

LANGUAGES = ["de", "en", "sw"]
DENSE = {"model": "m", **dict.fromkeys(("method", "scheme", "calibration"), "dense"), "seed": None}
N_COUNTED = 3
"""Of nine sequences of eight tokens: as many as 30 tokens fill."""
INPUTS = {"q k v": "q_proj", "attn.out": "o_proj", "ffn.gate ffn.up": "gate_proj", "ffn.down": "down_proj"}


def made(folder: Path, kind: str) -> Path:
    source = save_checkpoint(tiny_model(tiny_config(kind, num_hidden_layers=2)), folder / "model")
    write_manifest(folder / "model.json", {"kind": "folder", "path": str(source)}, source, {})
    digest = read_manifest(folder / "model.json")["digest"]
    for seed, language in enumerate(LANGUAGES):
        tokens = np.random.default_rng(seed).integers(2, VOCABULARY, (9, 8)).astype(np.int32)
        about = {**TEXT.metadata, "language": language, "model_digest": digest}
        save_tokens(folder / f"{language}.safetensors", replace(TEXT, tokens=tokens, metadata=about))
    return folder / "model.json"


def measured(model: Path, output: Path, languages: list[str] = LANGUAGES) -> list[dict[str, Any]]:
    texts = [model.parent / f"{language}.safetensors" for language in LANGUAGES[: len(languages)]]
    measure_activation_ranges(model, texts, languages, 30, DENSE, output, CPU, ENGINE, RUN)
    return pq.read_table(output).to_pylist()


@torch.inference_mode()
def seen_by(kind: str, seed: int, names: list[str]) -> dict[tuple[int, str], Tensor]:
    """What linear layers are handed in transformers' own forward, by layer and name, (n_tokens, d_in)."""
    model, found = tiny_model(tiny_config(kind, num_hidden_layers=2)), dict[tuple[int, str], Tensor]()

    def note(key: tuple[int, str]) -> Any:
        return lambda _, arguments: found.update({key: arguments[0].reshape(-1, arguments[0].shape[-1]).clone()})

    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and (end := name.rpartition(".")[2]) in names:
            module.register_forward_pre_hook(note((int(name.split(".")[2]), end)))
    tokens = np.random.default_rng(seed).integers(2, VOCABULARY, (9, 8))[:N_COUNTED]
    model(input_ids=torch.from_numpy(tokens), use_cache=False)
    return found


def test_inputs_that_overflow_are_refused(tmp_path: Path) -> None:
    """What is not a number would be the largest feature of all."""
    model = tiny_model(tiny_config("llama")).half()
    with torch.no_grad():
        model.state_dict()["model.layers.1.mlp.down_proj.weight"].fill_(6e4)
    decoder = Decoder(Checkpoint(save_checkpoint(model, tmp_path)), CPU)
    tokens = torch.arange(2, 26).reshape(2, 12)
    with pytest.raises(UserError, match=r"model\.layers\.2: inputs of self_attn\.q_proj.* values are NaN or infinite"):
        input_ranges(Calibration(decoder, tokens, 2, False, {}))


def test_rows_are_those_of_transformers_own_inputs(tmp_path: Path) -> None:
    """RANGE-1 to RANGE-3; the first sequences only."""
    model = made(tmp_path, "llama")
    rows = measured(model, tmp_path / "ranges.parquet")
    found = {
        (row["layer"], row["matrix"], row["eval_language"], row["other_language"], row["metric"]): row for row in rows
    }
    inputs = [seen_by("llama", seed, list(INPUTS.values())) for seed in range(3)]
    largest: dict[Any, Any] = {}
    for (seed, language), layer, (matrix, name) in product(enumerate(LANGUAGES), range(2), INPUTS.items()):
        x = inputs[seed][layer, name].double()
        widths = (x.amax(0) - x.amin(0)).numpy()
        expected = {"lowest": x.min(), "highest": x.max(), "median_range": np.median(widths)}
        for metric, value in expected.items():
            row = found.pop((layer, matrix, language, None, metric))
            assert row["value"] == pytest.approx(float(value), rel=1e-5) and row["n"] == 8 * N_COUNTED
        largest[layer, matrix, language] = int(x.abs().mean(0).argmax())
    for (layer, matrix, first, second, metric), row in found.items():
        same = largest[layer, matrix, first] == largest[layer, matrix, second]
        assert metric == "salient_overlap" and first < second and row["value"] == float(same) and row["n"] == 1
    assert len(found) == 2 * 4 * 3
    header = read_header(tmp_path / "ranges.parquet", ACTIVATION_RANGES.schema)
    assert header["variant"] == DENSE and set(header["sources"]) == {"model", "text de", "text en", "text sw"}


def test_experts_count_together_and_every_choice_of_a_token(tmp_path: Path) -> None:
    rows = measured(made(tmp_path, "olmoe"), tmp_path / "ranges.parquet")
    of_experts = [row for row in rows if row["matrix"] == "gate_up_proj" and row["metric"] == "lowest"]
    assert [row["n"] for row in of_experts] == [2 * 8 * N_COUNTED] * 6
    assert {row["matrix"] for row in rows} == {"q k v", "attn.out", "gate_up_proj", "ffn.down"}


def test_a_text_of_another_language_is_refused(tmp_path: Path) -> None:
    model = made(tmp_path, "llama")
    with pytest.raises(UserError, match=r"en\.safetensors .* has language en, expected zh"):
        measured(model, tmp_path / "x.parquet", ["de", "zh"])
    assert not (tmp_path / "x.parquet").exists()
