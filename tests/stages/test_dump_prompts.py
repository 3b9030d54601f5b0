"""Dumps of prompts as the rule makes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.helpers.dumps import own_states
from tests.helpers.engine import CPU
from tests.helpers.variants import (
    CALIBRATIONS,
    ENGINE,
    PLACES,
    PROMPTS,
    RUN,
    assert_says_what_it_is_of,
    cells_of,
    model_with,
    stranger,
    tiny_of_the_hub,
    without_unit,
)

from polyprune.artifacts.prompt_states import PromptStates
from polyprune.errors import UserError
from polyprune.settings.engine import Engine
from polyprune.stages.dump_prompts import dump_prompts


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with tiny_of_the_hub(tmp_path_factory.mktemp("model")) as manifest:
        yield manifest


@pytest.fixture(scope="module")
def cells(model: Path) -> list[Path]:
    return cells_of(model)


def dump(model: Path, cells: list[Path], folder: Path, engine: Engine = ENGINE) -> list[Path]:
    """A dump of each cell, or of the dense model."""
    paths = [folder / f"{number}.h5" for number in range(max(1, len(cells)))]
    dump_prompts(model, cells, [model.parent / "prompts.safetensors"], paths, CPU, engine, RUN)
    return paths


def test_files_say_what_they_are_of(model: Path, cells: list[Path], tmp_path: Path) -> None:
    """Every attribute, of the dense model and of each cell."""
    dense, of_cells = dump(model, [], tmp_path / "dense"), dump(model, cells, tmp_path / "cells")
    for cell, path in [(None, dense[0]), *enumerate(of_cells)]:
        assert_says_what_it_is_of(path, model, "prompt-states/4", PROMPTS, cell, "L_normed")
        assert without_unit(path) <= PLACES


def test_cells_together_give_the_files_that_each_gives_alone(model: Path, cells: list[Path], tmp_path: Path) -> None:
    together = dump(model, cells, tmp_path / "together")
    for cell, path in zip(cells, together, strict=True):
        assert dump(model, [cell], tmp_path / "alone")[0].read_bytes() == path.read_bytes()
    assert together[0].read_bytes() != together[1].read_bytes()


def test_offloaded_streams_give_the_same_bytes(model: Path, cells: list[Path], tmp_path: Path) -> None:
    offloading = Engine.model_validate(ENGINE.model_dump() | {"offload": "cpu"})
    for ours, offloaded in zip(
        dump(model, cells, tmp_path), dump(model, cells, tmp_path / "cpu", offloading), strict=True
    ):
        assert ours.read_bytes() == offloaded.read_bytes()


def test_prompts_are_measured_over_content_tokens(model: Path, cells: list[Path], tmp_path: Path) -> None:
    """Six of the ten tokens of each prompt, in every row: against transformers' own states of both models."""
    for cell, path in zip(cells, dump(model, cells, tmp_path), strict=True):
        with PromptStates(path) as states:
            assert states.items == ["a", "b"] and states.n_content.tolist() == [6, 6]
            found = states.sums("distance")
        for prompt, start in enumerate((0, 10)):
            tokens = torch.from_numpy(PROMPTS.tokens[None, start : start + 10]).long()
            content = torch.from_numpy(PROMPTS.content[start : start + 10]).bool()
            dense, pruned = (own_states(each, tokens)[0] for each in (model_with(None), model_with(cell)))
            expected = [(h - p)[0, content].norm(dim=1).sum().item() for h, p in zip(dense, pruned, strict=True)]
            np.testing.assert_allclose(found[prompt], expected, rtol=1e-3, atol=1e-5)
            assert min(expected[1:]) > 0 and expected[0] == 0


@pytest.mark.parametrize("other", range(len(CALIBRATIONS)))
def test_a_cell_of_other_weights_is_refused(other: int, model: Path, cells: list[Path], tmp_path: Path) -> None:
    mixed = [*cells[:other], stranger(model, tmp_path / "theirs.safetensors"), *cells[other + 1 :]]
    with pytest.raises(UserError, match=r"theirs\.safetensors .* has model_digest 0{16}, expected"):
        dump(model, mixed, tmp_path)
    assert not list(tmp_path.glob("*.h5*"))


def test_a_failure_leaves_no_dump_of_any_cell(
    model: Path, cells: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("polyprune.stages.dump_prompts.prompt_pass", dies)
    with pytest.raises(KeyboardInterrupt):
        dump(model, cells, tmp_path)
    assert not list(tmp_path.glob("*.h5*"))
