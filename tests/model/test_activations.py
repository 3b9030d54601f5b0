"""Counts of active neurons and sums of outputs against transformers' own forward."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.helpers.dumps import token_set
from tests.helpers.engine import CPU, put_weights, run_engine
from tests.helpers.families import tiny_config, tiny_model
from tests.helpers.neurons import values_of_layers
from tests.helpers.tiny import random_model, random_tokens, save_checkpoint
from torch import Tensor

from polyprune.artifacts.activations import Activations, write_activations
from polyprune.artifacts.cells import CellReader
from polyprune.errors import UserError
from polyprune.model.activations import activation_pass, block_bounds, tokens_of_blocks
from polyprune.model.checkpoint import Checkpoint
from polyprune.model.decoder import Decoder

N_SEQUENCES, LENGTH = 11, 12


def count(folder: Path, cell: CellReader | None, tokens: Tensor, path: Path) -> Path:
    decoder, data = Decoder(Checkpoint(folder), CPU), token_set(tokens)
    with write_activations(path, decoder.n_layers, tokens_of_blocks(data), {"p": 1}) as writer:
        activation_pass(decoder, data, cell, batch=2, writer=writer)
    return path


@pytest.mark.parametrize("architecture", ["llama", "cohere"])
@pytest.mark.parametrize("pruned", [False, True])
def test_counts_equal_a_direct_computation(architecture: str, pruned: bool, tmp_path: Path) -> None:
    folder = save_checkpoint(random_model(architecture), tmp_path / "model")
    model, cell = random_model(architecture), None
    if pruned:
        cell = run_engine(folder, random_tokens(16, 24, seed=1), "wanda", "0.50", tmp_path / "cell.safetensors")
        put_weights(model, cell)
    tokens = random_tokens(N_SEQUENCES, LENGTH, seed=4)
    expected = values_of_layers(model, tokens)
    bounds = block_bounds(N_SEQUENCES)
    with Activations(count(folder, cell, tokens, tmp_path / "counts.h5")) as file:
        assert file.n_layers == 3 and len(file.n_tokens) == 8 and file.n_tokens.sum() == N_SEQUENCES * LENGTH
        for layer, of_layer in enumerate(expected):
            for block, (first, last) in enumerate(bounds):
                act, out = (of_layer[name][first:last].flatten(0, 1).double() for name in ("act", "out"))
                assert file.n_tokens[block] == len(act)
                near_zero = (act.abs() < 1e-6).sum(0).numpy()
                difference = np.abs(file.neurons("active", layer)[block] - (act > 0).sum(0).numpy())
                assert (difference <= near_zero).all()
                for name, values in (("sum_abs_act", act), ("sum_abs_out", out)):
                    found = file.neurons(name, layer)[block]
                    np.testing.assert_allclose(found, values.abs().sum(0).numpy(), rtol=1e-4, atol=1e-5)
            for matrix in ("o_proj", "down_proj"):
                mean, magnitude = file.mean_outputs(matrix)
                y = of_layer[matrix].flatten(0, 1).double()
                np.testing.assert_allclose(mean[layer], y.mean(0).numpy(), rtol=1e-4, atol=1e-5)
                np.testing.assert_allclose(magnitude[layer], y.abs().mean(0).numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("family", "wrong"),
    [("hunyuan_v1_moe", "2 modules act_fn"), ("qwen2_moe", "2 modules act_fn"), ("gpt2", "no modules act_fn")],
)
def test_layers_with_several_mlps_or_others_are_refused(family: str, wrong: str, tmp_path: Path) -> None:
    """A shared expert's neurons beside a mixture's are not the neurons of the layer."""
    folder = save_checkpoint(tiny_model(tiny_config(family)), tmp_path / "model")
    with pytest.raises(UserError, match=f"a layer has {wrong}: neurons are counted where it has one MLP"):
        count(folder, None, random_tokens(2, LENGTH), tmp_path / "counts.h5")


def test_blocks_cover_the_text_once_and_bytes_do_not_depend_on_the_run(tmp_path: Path) -> None:
    assert block_bounds(3) == [(0, 1), (1, 2), (2, 3)]
    assert block_bounds(16) == [(start, start + 2) for start in range(0, 16, 2)]
    bounds = block_bounds(128)
    assert len(bounds) == 8 and {last - first for first, last in bounds} == {16}
    folder = save_checkpoint(random_model("llama"), tmp_path / "model")
    tokens = random_tokens(N_SEQUENCES, LENGTH)
    first, second = (count(folder, None, tokens, tmp_path / f"{n}.h5") for n in range(2))
    assert first.read_bytes() == second.read_bytes()
