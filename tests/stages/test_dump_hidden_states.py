"""Dumps of hidden states as the rule makes them: each of the variant and text that it should be of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.helpers.dumps import arrays_of, own_states
from tests.helpers.engine import CPU
from tests.helpers.variants import (
    CALIBRATIONS,
    ENGINE,
    OTHER_TEXT,
    PLACES,
    RUN,
    TEXT,
    assert_says_what_it_is_of,
    cells_of,
    model_with,
    stranger,
    tiny_of_the_hub,
    without_unit,
)

from polyprune.errors import UserError
from polyprune.settings.engine import Engine
from polyprune.stages.dump_hidden_states import dump_hidden_states

N_SAMPLED = 4


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with tiny_of_the_hub(tmp_path_factory.mktemp("model")) as manifest:
        yield manifest


@pytest.fixture(scope="module")
def cells(model: Path) -> list[Path]:
    return cells_of(model)


def dump(model: Path, cells: list[Path], folder: Path, engine: Engine = ENGINE) -> list[Path]:
    """Dumps of two texts, of each cell one after the other, or of the dense model."""
    texts = [model.parent / f"{text}.safetensors" for text in ("text", "other")]
    paths = [folder / f"{number}.h5" for number in range(2 * max(1, len(cells)))]
    dump_hidden_states(model, cells, texts, paths, N_SAMPLED, CPU, engine, RUN)
    return paths


def test_files_say_what_they_are_of(model: Path, cells: list[Path], tmp_path: Path) -> None:
    """Every attribute, of the dense model and of each cell."""
    dense, of_cells = dump(model, [], tmp_path / "dense"), dump(model, cells, tmp_path / "cells")
    for cell, paths in ((None, dense), (0, of_cells[:2]), (1, of_cells[2:])):
        for path, text in zip(paths, (TEXT, OTHER_TEXT), strict=True):
            assert_says_what_it_is_of(path, model, "hidden/5", text, cell, "L_normed")
            assert without_unit(path) <= PLACES


def test_each_dump_holds_the_states_of_its_variant_on_its_text(model: Path, cells: list[Path], tmp_path: Path) -> None:
    """Against transformers' own states of the model with the cell's weights."""
    of_cells = dump(model, cells, tmp_path / "cells")
    variants = [(None, dump(model, [], tmp_path / "dense")), (cells[0], of_cells[:2]), (cells[1], of_cells[2:])]
    for cell, paths in variants:
        for path, text in zip(paths, (TEXT, OTHER_TEXT), strict=True):
            tokens, found = torch.from_numpy(text.tokens).long(), arrays_of(path)
            states = torch.stack(own_states(model_with(cell), tokens)[0])
            dense = torch.stack(own_states(model_with(None), tokens)[0])
            np.testing.assert_allclose(found["prompts/mean"], states.mean(2).numpy(), rtol=1e-3, atol=1e-5)
            place = found["tokens/sequence"], found["tokens/position"]
            assert len(place[0]) == N_SAMPLED and np.array_equal(found["tokens/token_id"], text.tokens[place])
            np.testing.assert_allclose(
                found["tokens/hidden"], states.numpy()[:, place[0], place[1]], rtol=1e-3, atol=1e-5
            )
            np.testing.assert_allclose(found["sums/norm"], dense.norm(dim=3).sum(2).T.numpy(), rtol=1e-4)
            if cell is not None:
                distance = (dense - states).norm(dim=3).sum(2).T.numpy()
                np.testing.assert_allclose(found["sums/distance"], distance, rtol=1e-3, atol=1e-5)


def test_every_variant_keeps_the_same_tokens_of_a_text(model: Path, cells: list[Path], tmp_path: Path) -> None:
    dense = [arrays_of(path) for path in dump(model, [], tmp_path / "dense")]
    of_cells = [arrays_of(path) for path in dump(model, cells, tmp_path / "cells")]
    for name in ("tokens/sequence", "tokens/position", "tokens/token_id"):
        for found, expected in zip(of_cells, dense * 2, strict=True):
            assert np.array_equal(found[name], expected[name])
    assert not np.array_equal(dense[0]["tokens/token_id"], dense[1]["tokens/token_id"])


def test_cells_together_give_the_files_that_each_gives_alone(model: Path, cells: list[Path], tmp_path: Path) -> None:
    """Also another time, and for a job of another name."""
    together = dump(model, cells, tmp_path / "together")
    for number, cell in enumerate(cells):
        alone = dump(model, [cell], tmp_path / "alone")
        assert [path.read_bytes() for path in alone] == [path.read_bytes() for path in together[2 * number :][:2]]
    assert len({path.read_bytes() for path in together}) == 4


def test_offloaded_streams_give_the_same_bytes(model: Path, cells: list[Path], tmp_path: Path) -> None:
    offloading = Engine.model_validate(ENGINE.model_dump() | {"offload": "cpu"})
    for ours, offloaded in zip(
        dump(model, cells, tmp_path), dump(model, cells, tmp_path / "cpu", offloading), strict=True
    ):
        assert ours.read_bytes() == offloaded.read_bytes()


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

    monkeypatch.setattr("polyprune.stages.dump_hidden_states.paired_pass", dies)
    with pytest.raises(KeyboardInterrupt):
        dump(model, cells, tmp_path)
    assert not list(tmp_path.glob("*.h5*"))
