"""Prompts of different lengths against transformers' own forward, one prompt at a time and without padding."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.helpers.dumps import LENGTHS, dump_prompts, own_states, prompt_set
from tests.helpers.engine import put_weights, run_engine
from tests.helpers.tiny import random_model, random_tokens, save_checkpoint
from transformers import PreTrainedModel

from polyprune.artifacts.cells import CellReader
from polyprune.artifacts.prompt_states import PromptStates
from polyprune.errors import UserError
from polyprune.model.prompts import length_batches


def dump(folder: Path, cell: CellReader | None, path: Path, budget: int = 40) -> Path:
    dump_prompts(folder, [cell] if cell else [], [path], budget)
    return path


def prompt_states(model: PreTrainedModel, index: int) -> list[torch.Tensor]:
    """Content states of one prompt, rows 0..L and L_normed, each (n_content, d), float64."""
    data = prompt_set()
    part = slice(int(data.start[index]), int(data.start[index + 1]))
    tokens = torch.from_numpy(data.tokens[part].astype(np.int64))[None]
    content = torch.from_numpy(data.content[part].astype(bool))
    return [state[0, content].double() for state in own_states(model, tokens)[0]]


@pytest.mark.parametrize("architecture", ["llama", "cohere"])
def test_means_and_sums_equal_each_prompt_alone(architecture: str, tmp_path: Path) -> None:
    folder = save_checkpoint(random_model(architecture), tmp_path / "model")
    cell = run_engine(folder, random_tokens(16, 24, seed=1), "wanda", "0.50", tmp_path / "cell.safetensors")
    pruned = random_model(architecture)
    put_weights(pruned, cell)
    of_dense = dump(folder, None, tmp_path / "dense.h5")
    of_cell = dump(folder, cell, tmp_path / "cell.h5")
    with PromptStates(of_dense) as dense_file, PromptStates(of_cell) as cell_file:
        assert dense_file.layers == ["0", "1", "2", "3", "L_normed"]
        assert cell_file.items == prompt_set().items
        for index in range(len(LENGTHS)):
            pairs = zip(prompt_states(random_model(architecture), index), prompt_states(pruned, index), strict=True)
            for row, (h, p) in enumerate(pairs):
                np.testing.assert_allclose(dense_file.means(row)[index], h.mean(0), rtol=1e-4, atol=1e-5)
                np.testing.assert_allclose(cell_file.means(row)[index], p.mean(0), rtol=1e-4, atol=1e-5)
                expected = {
                    "norm": h.norm(dim=1).sum(),
                    "sq": h.square().sum(),
                    "norm_pruned": p.norm(dim=1).sum(),
                    "sq_pruned": p.square().sum(),
                    "dot": (h * p).sum(),
                    "distance": (h - p).norm(dim=1).sum(),
                    "diff": (h - p).square().sum(),
                }
                for name, value in expected.items():
                    found = cell_file.sums(name)[index, row]
                    assert found == pytest.approx(value.item(), rel=2e-4, abs=1e-6), (name, row)


def test_bytes_do_not_depend_on_the_run_and_values_not_on_batches(tmp_path: Path) -> None:
    folder = save_checkpoint(random_model("llama"), tmp_path / "model")
    first = dump(folder, None, tmp_path / "first.h5")
    time.sleep(1.01)  # HDF5 keeps seconds where it keeps times
    second = dump(folder, None, tmp_path / "second.h5")
    assert first.read_bytes() == second.read_bytes()
    alone = dump(folder, None, tmp_path / "alone.h5", budget=1)
    with PromptStates(first) as batched, PromptStates(alone) as single:
        for row in range(5):
            np.testing.assert_allclose(batched.means(row), single.means(row), rtol=1e-4, atol=1e-5)


def test_batches_hold_every_prompt_once_within_the_budget() -> None:
    lengths = np.array([7, 3, 50, 3, 8, 20])
    batches = list(length_batches(lengths, 24, lambda _: 0))
    assert sorted(np.concatenate(batches).tolist()) == list(range(6))
    assert all(len(batch) == 1 or len(batch) * lengths[batch].max() <= 24 for batch in batches)
    assert len(batches) == 4
    of_a_kind = list(length_batches(lengths, 24, lambda length: length > 7))
    assert [sorted(lengths[batch].tolist()) for batch in of_a_kind] == [[3, 3, 7], [8], [20], [50]]


def test_where_positions_depend_on_the_length_each_prompt_is_as_alone(tmp_path: Path) -> None:
    rope = {"rope_type": "longrope", "rope_theta": 1e4, "original_max_position_embeddings": 12, "factor": 2.0}
    rope |= {"short_factor": [1.0] * 4, "long_factor": [1.0, 2.0, 4.0, 8.0]}
    model = random_model("llama", rope_parameters=rope)
    path = dump(save_checkpoint(model, tmp_path / "model"), None, tmp_path / "dense.h5", budget=1000)
    with PromptStates(path) as found:
        for index in range(len(LENGTHS)):
            for row, h in enumerate(prompt_states(model, index)):
                np.testing.assert_allclose(found.means(row)[index], h.mean(0), rtol=1e-4, atol=1e-5)


def test_overflow_is_refused(tmp_path: Path) -> None:
    model = random_model("llama")
    with torch.no_grad():
        model.state_dict()["model.embed_tokens.weight"].mul_(1e30)
    folder = save_checkpoint(model, tmp_path / "model")
    with pytest.raises(UserError, match="layer row 0 overflow: load the model in bfloat16"):
        dump(folder, None, tmp_path / "dump.h5")
    assert not (tmp_path / "dump.h5").exists()


def test_half_written_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.h5").write_bytes(b"not HDF5")
    with pytest.raises(UserError, match="cannot be read as HDF5"):
        PromptStates(tmp_path / "broken.h5")
