"""Counts of active neurons as the rule makes them: of the variant, over the first sequences of the text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.helpers.engine import CPU
from tests.helpers.neurons import LayerValues, values_of_layers
from tests.helpers.variants import (
    ENGINE,
    RUN,
    TEXT,
    assert_says_what_it_is_of,
    cells_of,
    model_with,
    stranger,
    tiny_of_the_hub,
    without_unit,
)

from polyprune.artifacts.activations import Activations
from polyprune.errors import UserError
from polyprune.settings.engine import Engine
from polyprune.stages.count_activations import count_activations

WANTED = 70
"""Tokens; sequences have 8, so 8 of the 9 sequences are counted."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with tiny_of_the_hub(tmp_path_factory.mktemp("model")) as manifest:
        yield manifest


@pytest.fixture(scope="module")
def cells(model: Path) -> list[Path]:
    return cells_of(model)


def count(model: Path, cell: Path | None, path: Path, engine: Engine = ENGINE) -> Path:
    count_activations(model, [cell] if cell else [], model.parent / "text.safetensors", WANTED, path, CPU, engine, RUN)
    return path


def assert_counts(path: Path, expected: list[LayerValues]) -> None:
    """One sequence a block, as there are eight blocks."""
    with Activations(path) as file:
        assert file.n_layers == len(expected) and file.n_tokens.tolist() == [8] * 8
        for layer, values in enumerate(expected):
            act, out = values["act"].double(), values["out"].double()
            unsure = (act.abs() < 1e-6).sum(1).numpy()
            assert (np.abs(file.neurons("active", layer) - (act > 0).sum(1).numpy()) <= unsure).all()
            sums = {"sum_abs_act": act.abs().sum(1), "sum_abs_out": out.abs().sum(1)}
            for name, total in sums.items():
                np.testing.assert_allclose(file.neurons(name, layer), total.numpy(), rtol=1e-3, atol=1e-5)
            for matrix in ("o_proj", "down_proj"):
                y = values[matrix].double().flatten(0, 1)
                mean, magnitude = (each[layer] for each in file.mean_outputs(matrix))
                np.testing.assert_allclose(mean, y.mean(0).numpy(), rtol=1e-3, atol=1e-5)
                np.testing.assert_allclose(magnitude, y.abs().mean(0).numpy(), rtol=1e-3, atol=1e-5)


def test_counts_are_of_the_variant_on_the_first_sequences(model: Path, cells: list[Path], tmp_path: Path) -> None:
    """Against transformers' own forward; the dense model and each cell."""
    tokens = torch.from_numpy(TEXT.tokens[:8]).long()
    for cell in (None, *cells):
        assert_counts(count(model, cell, tmp_path / "x.h5"), values_of_layers(model_with(cell), tokens))


def test_files_say_what_they_are_of(model: Path, cells: list[Path], tmp_path: Path) -> None:
    """Every attribute, of the dense model and of each cell: the data are those that were counted."""
    for number, cell in [(None, None), *enumerate(cells)]:
        path = count(model, cell, tmp_path / "x.h5")
        assert_says_what_it_is_of(path, model, "activations/4", TEXT.first(WANTED), number, "down_proj")
        assert not without_unit(path)


@pytest.mark.parametrize(("wanted", "counted"), [(WANTED, 64), (72, 72), (10**6, 72), (8, 8), (1, 8)])
def test_whole_sequences_are_counted_up_to_the_tokens_asked_for(wanted: int, counted: int) -> None:
    first = TEXT.first(wanted)
    assert first.tokens.size == first.n_bytes.size == counted
    assert np.array_equal(first.tokens.flatten(), TEXT.tokens.flatten()[:counted])


def test_the_same_bytes_twice_and_the_same_counts_whatever_the_batch(
    model: Path, cells: list[Path], tmp_path: Path
) -> None:
    small = Engine.model_validate(ENGINE.model_dump() | {"tokens_per_batch": 8})
    first, again, by_ones = (count(model, cells[0], tmp_path / f"{n}.h5", ENGINE if n < 2 else small) for n in range(3))
    assert first.read_bytes() == again.read_bytes()
    with Activations(first) as one, Activations(by_ones) as other:
        for layer in range(one.n_layers):
            for name in ("sum_abs_act", "sum_abs_out"):
                np.testing.assert_allclose(one.neurons(name, layer), other.neurons(name, layer), rtol=1e-4)


def test_a_cell_of_other_weights_is_refused(model: Path, tmp_path: Path) -> None:
    cell = stranger(model, tmp_path / "theirs.safetensors")
    with pytest.raises(UserError, match=r"theirs\.safetensors .* has model_digest 0{16}, expected"):
        count(model, cell, tmp_path / "x.h5")
    assert not list(tmp_path.glob("*.h5*"))
