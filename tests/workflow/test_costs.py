"""What jobs ask for: operations by hand, one GPU whatever the size, and more at every attempt."""

from __future__ import annotations

from pathlib import Path

import pytest

from polyprune.settings.models import Model, Shape
from polyprune.workflow import costs

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
    without_attention = costs.forward_flops(LLAMA_8B, n_tokens, 0)
    assert without_attention == 2 * 6_979_321_856 * n_tokens
    assert without_attention == pytest.approx(1.46e16, rel=0.005)
    # causal: on average half of the 8192 positions, for q·k and for the sum over v, a multiplication and an addition
    attention = costs.forward_flops(LLAMA_8B, n_tokens, 8192) - without_attention
    assert attention == 32 * n_tokens * (8192 // 2) * 4096 * 2 * 2
    assert (without_attention + attention) / n_tokens == pytest.approx(16.1e9, rel=0.005)


def test_gram_operations_by_hand():
    shape = Shape(layers=2, hidden=4, intermediate=6, heads=2, kv_heads=2, vocabulary=8, max_positions=8)
    # inputs of q/k/v, o and gate/up are 4 wide, of down 6; n·d² multiplications and additions, of half the matrix
    assert costs.gram_flops(shape, 10) == 2 * 10 * (3 * 4**2 + 6**2)


def test_experts_wait_with_their_gram_matrices_and_a_token_pays_for_those_that_it_meets():
    """OLMoE: 64 experts of 1024 a layer, 8 for a token; of each, inputs 2048 and 1024 wide."""
    olmoe = Shape(
        layers=16, hidden=2048, intermediate=1024, heads=16, kv_heads=16, vocabulary=50304, max_positions=4096,
        experts=64, expert_width=1024, experts_per_token=8,
    )  # fmt: skip
    attention = 4 * 2048**2
    assert olmoe.linear_weights == 16 * (attention + 64 * 3 * 2048 * 1024)
    assert costs.forward_flops(olmoe, 10, 0) == 2 * 10 * 16 * (attention + 8 * 3 * 2048 * 1024)
    assert costs.gram_flops(olmoe, 10) == 16 * 10 * (2 * 2048**2 + 8 * (2048**2 + 1024**2))
    grams = 4 * (3 * 1024**2 + 64 * (2048**2 + 1024**2)) // 2**20
    mixture = model(olmoe)
    found = costs.compression_memory_mb(mixture, "sparsegpt") - costs.compression_memory_mb(mixture, "wanda")
    assert found == grams == 1292


def test_methods_with_a_gram_matrix_cost_more():
    plain = costs.compression_flops(MODELS["8b"], "wanda")
    n_tokens = 128 * 8192
    assert plain == 2 * costs.forward_flops(LLAMA_8B, n_tokens, 8192)
    assert costs.compression_flops(MODELS["8b"], "magnitude") == plain
    assert costs.compression_flops(MODELS["8b"], "sparsegpt") == plain + costs.gram_flops(LLAMA_8B, n_tokens)
    assert (
        costs.compression_memory_mb(MODELS["8b"], "sparsegpt") - costs.compression_memory_mb(MODELS["8b"], "wanda")
        == 3 * 4 * 14336**2 // 2**20
    )


def test_a_dump_pushes_the_dense_stream_and_the_cells_through_layers_and_head_in_every_language():
    n_tokens = 128 * 8192
    head = 2 * 4096 * 128256 * n_tokens
    one = costs.forward_flops(LLAMA_8B, n_tokens, 8192) + head
    assert costs.dump_flops(MODELS["8b"], 1, 0) == one
    assert costs.dump_flops(MODELS["8b"], 1, 1) == 2 * one
    assert costs.dump_flops(MODELS["8b"], 7, 6) == 7 * 7 * one


def test_minutes_have_a_start_and_room():
    rate = 150e12
    assert costs.minutes(0, rate) == 5
    assert costs.minutes(1, rate) == 6
    assert costs.minutes(rate * 60 * 10, rate) == 5 + 3 * 10
    assert costs.minutes(costs.compression_flops(MODELS["tiny"], "sparsegpt"), rate) == 6
    assert costs.minutes(costs.compression_flops(MODELS["8b"], "wanda"), rate) == 5 + 12


def test_sizes_of_cells_and_dumps():
    """8B: a mask is 1/16 of the bf16 linear layers; half the weights and a mask are 9/16."""
    linears = 2 * LLAMA_8B.linear_weights
    assert costs.cell_bytes(MODELS["8b"], "wanda", "0.50") == linears / 16
    assert costs.cell_bytes(MODELS["8b"], "sparsegpt", "0.50") == linears * 9 / 16
    assert costs.cell_bytes(MODELS["8b"], "sparsegpt", "1of4") == linears * (1 / 16 + 1 / 4)
    assert costs.cell_bytes(MODELS["8b"], "gptq", "w4g128") == linears / 2 * (4 / 8 + 3 / 128)
    means, sample, losses = 34 * 128 * 4096 * 4, 34 * 256 * 4096 * 2, 12 * 128 * 8192
    assert costs.dump_bytes(MODELS["8b"]) == means + sample + losses


def test_one_gpu_whatever_the_size_and_none_for_tiny_models():
    assert {name: costs.gpus(each) for name, each in MODELS.items()} == {"8b": 1, "70b": 1, "tiny": 0}
    assert {name: costs.cpus(each) for name, each in MODELS.items()} == {"8b": 4, "70b": 4, "tiny": 1}


def test_memory_holds_streams_and_layers_but_never_the_whole_model():
    stream_mb = 128 * 8192 * 4096 * 2 // 2**20
    assert stream_mb == 8192
    weights_mb = (2 * 128256 * 4096 + 3 * 6_979_321_856 // 32) * 2 // 2**20
    assert costs.compression_memory_mb(MODELS["8b"], "wanda") == 1500 + stream_mb + weights_mb
    assert costs.dump_memory_mb(MODELS["8b"], 0) == 1500 + stream_mb + weights_mb + 2048
    assert costs.dump_memory_mb(MODELS["8b"], 6) == 1500 + 7 * stream_mb + weights_mb + 2048
    assert costs.dump_memory_mb(MODELS["70b"], 1) < LLAMA_70B.linear_weights * 2 // 2**20 // 2
    assert costs.compression_memory_mb(MODELS["tiny"], "sparsegpt") < 2000
