"""What jobs ask for: operations by hand, one GPU whatever the size, and more at every attempt."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from polyprune.grammar.paths import Cell
from polyprune.settings.config import Settings
from polyprune.settings.engine import Engine
from polyprune.settings.models import Model, Shape
from polyprune.workflow import bundles, needs

RULES = Path(__file__).parents[2] / "rules"

LLAMA_8B = Shape(
    layers=32, hidden=4096, intermediate=14336, heads=32, kv_heads=8, vocabulary=128256, max_positions=8192
)
LLAMA_70B = Shape(
    layers=80, hidden=8192, intermediate=28672, heads=64, kv_heads=8, vocabulary=128256, max_positions=8192
)
TINY = Shape(
    layers=4, hidden=64, intermediate=192, heads=4, kv_heads=2, vocabulary=3072, max_positions=256, bytes_per_weight=4
)


def model(shape: Shape, sequences: int = 128, length: int = 8192) -> Model:
    text = {
        "corpus": "web", "sequence_length": length, "calibration_sequences": sequences,
        "evaluation_sequences": sequences, "sampling": "packed",
    }  # fmt: skip
    source = {"kind": "hub", "id": "org/name"}
    return Model.model_validate({"title": "x", "source": source, "shape": shape, "text": text})


MODELS = {"8b": model(LLAMA_8B), "70b": model(LLAMA_70B), "tiny": model(TINY, 30, 160)}


def test_linear_weights_of_llama_3_are_those_of_its_card():
    # q and o 4096², k and v 4096·1024, gate, up and down 4096·14336; 32 layers
    assert LLAMA_8B.linear_weights == 32 * (2 * 4096**2 + 2 * 4096 * 1024 + 3 * 4096 * 14336) == 6_979_321_856
    assert LLAMA_70B.linear_weights == 68_451_041_280


def test_forward_operations_of_llama_3_by_hand():
    n_tokens = 128 * 8192
    without_attention = needs.forward_flops(LLAMA_8B, n_tokens, 0)
    assert without_attention == 2 * 6_979_321_856 * n_tokens
    assert without_attention == pytest.approx(1.46e16, rel=0.005)
    # causal: on average half of the 8192 positions, for q·k and for the sum over v, a multiplication and an addition
    attention = needs.forward_flops(LLAMA_8B, n_tokens, 8192) - without_attention
    assert attention == 32 * n_tokens * (8192 // 2) * 4096 * 2 * 2
    assert (without_attention + attention) / n_tokens == pytest.approx(16.1e9, rel=0.005)


def test_gram_operations_by_hand():
    shape = Shape(layers=2, hidden=4, intermediate=6, heads=2, kv_heads=2, vocabulary=8, max_positions=8)
    # inputs of q/k/v, o and gate/up are 4 wide, of down 6; n·d² multiplications and additions, of half the matrix
    assert needs.gram_flops(shape, 10) == 2 * 10 * (3 * 4**2 + 6**2)


def test_methods_with_a_gram_matrix_cost_more():
    plain = needs.compression_flops(MODELS["8b"], "wanda")
    n_tokens = 128 * 8192
    assert plain == 2 * needs.forward_flops(LLAMA_8B, n_tokens, 8192)
    assert needs.compression_flops(MODELS["8b"], "magnitude") == plain
    assert needs.compression_flops(MODELS["8b"], "sparsegpt") == plain + needs.gram_flops(LLAMA_8B, n_tokens)
    assert (
        needs.compression_memory_mb(MODELS["8b"], "sparsegpt") - needs.compression_memory_mb(MODELS["8b"], "wanda")
        == 3 * 4 * 14336**2 // 2**20
    )


def test_a_dump_pushes_the_dense_stream_and_the_cells_through_layers_and_head_in_every_language():
    n_tokens = 128 * 8192
    head = 2 * 4096 * 128256 * n_tokens
    one = needs.forward_flops(LLAMA_8B, n_tokens, 8192) + head
    assert needs.dump_flops(MODELS["8b"], 1, 0) == one
    assert needs.dump_flops(MODELS["8b"], 1, 1) == 2 * one
    assert needs.dump_flops(MODELS["8b"], 7, 6) == 7 * 7 * one


def cells(method: str, calibrations: list[str], seeds: list[int]) -> list[Cell]:
    return [Cell("8b", method, "0.50", calibration, seed) for calibration in calibrations for seed in seeds]


def test_bundles_are_of_one_method_and_a_new_seed_changes_none_that_is_full():
    asked = [*cells("wanda", ["de", "en", "zh"], [0, 1]), *cells("sparsegpt", ["en", "de", "zh", "sw"], [0])]
    found = bundles.bundles([*asked, *asked[::-1]], 3)
    assert [[(cell.method, cell.calibration, cell.seed) for cell in bundle] for bundle in found] == [
        [("sparsegpt", "de", 0), ("sparsegpt", "en", 0), ("sparsegpt", "sw", 0)],
        [("wanda", "de", 0), ("wanda", "en", 0), ("wanda", "zh", 0)],
        [("wanda", "de", 1), ("wanda", "en", 1), ("wanda", "zh", 1)],
    ], "sparsegpt zh is left to itself"
    more = bundles.bundles([*asked, *cells("wanda", ["de", "en", "zh"], [2])], 3)
    assert more[:3] == found and len(more) == 4
    assert bundles.bundles(asked, 1) == []
    models = [Cell(name, "wanda", "0.50", "de", 0) for name in ("8b", "70b")]
    schemes = [Cell("8b", "wanda", scheme, "de", 0) for scheme in ("0.20", "2of4")]
    assert bundles.bundles([*models, *schemes], 9) == []


def test_minutes_have_a_start_and_room():
    rate = 150e12
    assert needs.minutes(0, rate) == 5
    assert needs.minutes(1, rate) == 6
    assert needs.minutes(rate * 60 * 10, rate) == 5 + 3 * 10
    assert needs.minutes(needs.compression_flops(MODELS["tiny"], "sparsegpt"), rate) == 6
    assert needs.minutes(needs.compression_flops(MODELS["8b"], "wanda"), rate) == 5 + 12


def test_sizes_of_cells_and_dumps():
    """8B: a mask is 1/16 of the bf16 linear layers; half the weights and a mask are 9/16."""
    linears = 2 * LLAMA_8B.linear_weights
    assert needs.cell_bytes(MODELS["8b"], "wanda", "0.50") == linears / 16
    assert needs.cell_bytes(MODELS["8b"], "sparsegpt", "0.50") == linears * 9 / 16
    assert needs.cell_bytes(MODELS["8b"], "sparsegpt", "1of4") == linears * (1 / 16 + 1 / 4)
    assert needs.cell_bytes(MODELS["8b"], "gptq", "w4g128") == linears / 2 * (4 / 8 + 3 / 128)
    means, sample, losses = 34 * 128 * 4096 * 4, 34 * 256 * 4096 * 2, 12 * 128 * 8192
    assert needs.dump_bytes(MODELS["8b"]) == means + sample + losses


def test_one_gpu_whatever_the_size_and_none_for_tiny_models():
    assert {name: needs.gpus(each) for name, each in MODELS.items()} == {"8b": 1, "70b": 1, "tiny": 0}
    assert {name: needs.cpus(each) for name, each in MODELS.items()} == {"8b": 4, "70b": 4, "tiny": 1}


def test_memory_holds_streams_and_layers_but_never_the_whole_model():
    stream_mb = 128 * 8192 * 4096 * 2 // 2**20
    assert stream_mb == 8192
    weights_mb = (2 * 128256 * 4096 + 3 * 6_979_321_856 // 32) * 2 // 2**20
    assert needs.compression_memory_mb(MODELS["8b"], "wanda") == 1500 + stream_mb + weights_mb
    assert needs.dump_memory_mb(MODELS["8b"], 0) == 1500 + stream_mb + weights_mb + 2048
    assert needs.dump_memory_mb(MODELS["8b"], 6) == 1500 + 7 * stream_mb + weights_mb + 2048
    assert needs.dump_memory_mb(MODELS["70b"], 1) < LLAMA_70B.linear_weights * 2 // 2**20 // 2
    assert needs.compression_memory_mb(MODELS["tiny"], "sparsegpt") < 2000


def function_of_rules(name: str, **values: Any) -> Any:
    """A function of rules/common.smk, which is no Python module."""
    text = (RULES / "common.smk").read_text(encoding="utf-8")
    match = re.search(rf"^def {name}\(.*?(?=^\S)", text + "\nend", re.MULTILINE | re.DOTALL)
    assert match, name
    exec(match[0], values)
    return values[name]


@pytest.mark.parametrize("name", ["compression_memory", "compression_minutes", "dump_memory", "dump_minutes"])
def test_every_attempt_asks_for_more(name: str):
    settings = Settings.model_construct(models=MODELS)
    languages = SimpleNamespace(models=settings.models, engine=Engine(), languages_of=lambda _: ["de", "zh"])
    function = function_of_rules(name, resources=needs, settings=languages)
    if name.startswith("dump"):
        function = function(2)
    wildcards = SimpleNamespace(model="8b", method="wanda")
    first, second, third = (function(wildcards, attempt) for attempt in (1, 2, 3))
    assert (second, third) == (2 * first, 3 * first)
    assert first > 0
