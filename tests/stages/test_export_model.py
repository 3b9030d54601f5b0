"""An exported cell: a plain folder that transformers loads, with the weights that the cell stands for."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.helpers import exports
from tests.helpers.battery import contents
from tests.helpers.cells import arguments, register
from tests.helpers.prompting import prompting_of
from tests.helpers.tiny import random_model, random_tokens
from torch import Tensor
from transformers import PreTrainedModel
from transformers.models.auto import AutoModelForCausalLM

from polyprune.artifacts.cells import CellReader
from polyprune.artifacts.exports import RECORD
from polyprune.artifacts.scores import save_scores
from polyprune.artifacts.verify import complaint
from polyprune.errors import UserError
from polyprune.grammar.methods import artifact
from polyprune.model.checkpoint import Checkpoint
from polyprune.model.compression import apply_cell, propagate
from polyprune.model.decoder import Decoder
from polyprune.model.source import write_manifest
from polyprune.running.run import run
from polyprune.stages.export_model import export_model

SOURCE = {"kind": "hub", "id": "meta-llama/Meta-Llama-3-8B-Instruct", "gated": "Meta Llama 3 Community License"}


def logits_of_the_cell(checkpoint: Path, cell: CellReader, tokens: Tensor) -> Tensor:
    decoder = Decoder(Checkpoint(checkpoint), torch.device("cpu"))
    hidden, calls = decoder.embed(tokens, len(tokens))
    for index, layer in decoder.walk():
        apply_cell(decoder, index, cell)
        propagate(layer, hidden, calls[index], len(tokens))
    return decoder.logits(decoder.normalise(hidden))


exported = partial(exports.exported, title="Llama-3 8B", source=SOURCE)


def load(folder: Path) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, attn_implementation="sdpa").eval()


def greedy(model: PreTrainedModel, tokens: Tensor) -> list[int]:
    return model.generate(tokens, max_new_tokens=12, do_sample=False)[0].tolist()  # type: ignore[operator]


@pytest.mark.parametrize("architecture", ["llama", "llama3-rope", "cohere"])
@pytest.mark.parametrize(("method", "scheme"), [("wanda", "0.50"), ("sparsegpt", "0.50-dense-ends"), ("gptq", "w4g16")])
def test_transformers_loads_what_the_cell_stands_for(
    architecture: str, method: str, scheme: str, tmp_path: Path
) -> None:
    register(random_model(architecture, dtype=torch.bfloat16), tmp_path, shards=1 if method == "wanda" else 3)
    cell = tmp_path / artifact(method)
    assert run(arguments(tmp_path, method, scheme, cell)) == 0
    output = tmp_path / "export" / "config.json"
    exported(tmp_path / "model.json", cell, output)
    tokens, reader = random_tokens(3, 24, seed=5), CellReader(cell)
    loaded, expected = load(output.parent), load(tmp_path / "checkpoint")
    with torch.inference_mode():
        ours = logits_of_the_cell(tmp_path / "checkpoint", reader, tokens)
        assert torch.equal(loaded(tokens, use_cache=False).logits, ours)
        assert not torch.equal(expected(tokens, use_cache=False).logits, ours)
    for name in reader.columns:
        weight, kept = expected.get_submodule(name).weight, reader.weight(name)
        assert isinstance(weight, Tensor) and kept is not None
        weight.data = kept.dense(weight.data)
    assert greedy(loaded, tokens[:1]) == greedy(expected, tokens[:1])
    assert json.loads(output.read_text()) == json.loads((tmp_path / "checkpoint" / "config.json").read_text())


def cell_of(tmp_path: Path) -> Path:
    register(random_model("llama"), tmp_path)
    cell = tmp_path / "mask.safetensors"
    assert run(arguments(tmp_path, "wanda", "0.50", cell)) == 0
    return cell


def test_the_card_says_what_was_done_and_what_it_did(tmp_path: Path) -> None:
    cell = cell_of(tmp_path)
    output = tmp_path / "export" / "config.json"
    (output.parent).mkdir()
    (output.parent / "model-99999.safetensors").write_text("left by another export")
    exported(tmp_path / "model.json", cell, output)
    card = (output.parent / "README.md").read_text()
    for line in (
        "base_model: meta-llama/Meta-Llama-3-8B-Instruct",
        "- de\n- en\n",
        "# Llama-3 8B, wanda 0.50, calibrated on DE+EN",
        "The licence of the dense model holds: Meta Llama 3 Community License.",
        "| settings | none |",
        "Its scores are in `wanda/0.50/de-en/seed0/`: perplexity.parquet, drift.parquet, evaluation/",
    ):
        assert line in card
    assert not list(output.parent.glob("model-99999*"))
    assert "sparsity_config" not in output.read_text() and "quantization_config" not in output.read_text()


def test_the_same_cell_has_the_same_export_before_and_after_it_is_scored(tmp_path: Path) -> None:
    cell = cell_of(tmp_path)
    output = tmp_path / "export" / "config.json"
    exported(tmp_path / "model.json", cell, output)
    before = contents(output.parent)
    row: dict[str, Any] = dict.fromkeys(("model", "method", "scheme", "calibration", "corpus", "unit"), "x") | {"n": 1}
    perplexity = row | {"metric": "perplexity", "eval_language": "de", "layer": None, "value": 7.25}
    save_scores(tmp_path / "perplexity.parquet", [perplexity], {})
    exported(tmp_path / "model.json", cell, output)
    assert contents(output.parent) == before
    assert set(json.loads((output.parent / RECORD).read_text())["files"]) == set(before) - {RECORD}


@pytest.mark.parametrize("damage", ["a bit", "a byte less", "gone", "the record"])
def test_a_damaged_export_or_checkpoint_is_found(damage: str, tmp_path: Path) -> None:
    results = tmp_path / "results" / "tiny"
    cell = cell_of(results)
    write_manifest(results / "model.json", {"kind": "train"}, results / "checkpoint", {})
    exported(results / "model.json", cell, results / "export" / "config.json")
    for of, folder in (("model.json", "checkpoint"), ("export/config.json", "export")):
        target, file = results / of, results / folder / "model.safetensors"
        assert complaint(target, tmp_path / "results") is None
        if damage == "the record":
            file = target if folder == "checkpoint" else results / folder / RECORD
        whole = file.read_bytes()
        match damage:
            case "a byte less":
                file.write_bytes(whole[:-1])
            case "gone":
                file.unlink()
            case _:
                file.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
        said = complaint(target, tmp_path / "results") or ""
        assert str(file) in said and said.endswith(f"snakemake --profile local results/tiny/{of}")
        file.write_bytes(whole)


def test_a_cell_of_another_version_of_the_model_is_refused(tmp_path: Path) -> None:
    cell = cell_of(tmp_path / "one")
    register(random_model("llama", seed=1), tmp_path / "two")
    with pytest.raises(UserError, match=r"has model_digest [0-9a-f]{16}, expected"):
        exported(tmp_path / "two" / "model.json", cell, tmp_path / "x" / "config.json")


def test_a_packed_one_says_its_layout_and_scores_and_is_whole(tmp_path: Path) -> None:
    """In the place that the rule gives it, beside a plain one."""
    results = tmp_path / "results" / "tiny"
    register(random_model("llama", hidden_size=64, intermediate_size=96), results)
    cell = results / "gptq" / "w4g32" / "de" / "seed0" / artifact("gptq")
    cell.parent.mkdir(parents=True)
    assert run(arguments(results, "gptq", "w4g32", cell)) == 0
    row: dict[str, Any] = {"model": "tiny", "corpus": "c", "metric": "perplexity", "unit": "1", "n": 1}
    scores = []
    for name, value in (("cell", 12.345), ("dense", 10.0)):
        scores.append(tmp_path / f"{name}.parquet")
        rows = [
            row | {"eval_language": "de", "value": value} | dict.fromkeys(("method", "scheme", "calibration"), name)
        ]
        save_scores(scores[-1], rows, {})
    output = cell.parent / "export-gptq" / "config.json"
    model = results / "model.json"
    export_model(model, prompting_of(model), cell, scores, output, "Tiny", SOURCE, "gptq", {"code": "1"})
    card = (output.parent / "README.md").read_text()
    assert "| de | 12.35 | 10.00 |" in card and "layout of AutoGPTQ and GPTQModel (gptq)" in card
    assert json.loads(output.read_text())["quantization_config"]["quant_method"] == "gptq"
    assert complaint(output, tmp_path / "results") is None
    weights = output.with_name("model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    assert complaint(output, tmp_path / "results") is not None
