"""Methods that tell the calibration languages apart, through the whole engine, against a plain loop in float64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.helpers.cells import arguments, kept_of, register
from tests.helpers.engine import run_engine
from tests.helpers.reference import compress_plainly, lwanda_keep
from tests.helpers.tiny import random_model, random_tokens, save_checkpoint
from torch import Tensor

from polyprune.artifacts.cells import CellReader
from polyprune.errors import UserError
from polyprune.running.run import run
from polyprune.stages import prune_model as stage

HALVES = (slice(0, 4), slice(4, 8))


def languages_of(x: Tensor, ends: tuple[slice, ...], length: int = 24) -> list[Tensor]:
    """Inputs (n_tokens, d_in) of all sequences as those of each language."""
    return [x[each.start * length : each.stop * length] for each in ends]


@pytest.mark.parametrize("architecture", ["llama", "cohere"])
@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_the_stage_makes_the_masks_that_each_languages_inputs_give(
    architecture: str, factor: float, tmp_path: Path
) -> None:
    """LWANDA-2 with STAT-5: half of the sequences are German, all of them in one batch for any other method."""
    model = random_model(architecture)
    register(model, tmp_path)
    output = tmp_path / "mask.safetensors"
    assert run(arguments(tmp_path, "lwanda", "0.50", output, lwanda={"weight": factor})) == 0
    cell = CellReader(output)
    assert cell.metadata["compression"] == {"lwanda": {"weight": factor}}

    def prune(name: str, weight: Tensor, x: Tensor) -> Tensor:
        keep = lwanda_keep(weight, languages_of(x, HALVES), factor, weight.shape[1] // 2)
        assert torch.equal(kept_of(cell, name).keep, keep), name
        return weight * keep

    compress_plainly(model, random_tokens(8, 24), prune)


def test_a_batch_ends_where_a_language_ends(tmp_path: Path) -> None:
    """LWANDA-2: the first language has 5 of 8 sequences, in batches of 3."""
    model = random_model("llama")
    folder, tokens = save_checkpoint(model, tmp_path / "model"), random_tokens(8, 24)
    parts = (slice(0, 5), slice(5, 8))
    cell = run_engine(folder, tokens, "lwanda", "2of4", tmp_path / "cell", languages=parts)

    def prune(name: str, weight: Tensor, x: Tensor) -> Tensor:
        columns = zip(
            weight.split(4, 1), zip(*(y.split(4, 1) for y in languages_of(x, parts)), strict=True), strict=True
        )
        keep = torch.cat([lwanda_keep(group, inputs, 1.0, 2) for group, inputs in columns], 1)
        assert torch.equal(kept_of(cell, name).keep, keep), name
        return weight * keep

    compress_plainly(model, tokens, prune)


@pytest.mark.parametrize(
    ("languages", "factor"), [((slice(0, 8),), 1.0), ((slice(0, 3), slice(3, 6), slice(6, 8)), 0.0)]
)
def test_cells_are_wandas_to_the_bit(languages: Any, factor: float, tmp_path: Path) -> None:
    """LWANDA-2: of one language; and without the term, if batches end where languages do."""
    folder, tokens = save_checkpoint(random_model("llama"), tmp_path / "model"), random_tokens(8, 24)
    about, settings = {"method": "either"}, {"weight": factor}
    run_engine(folder, tokens, "wanda", "0.50", tmp_path / "wanda", metadata=about)
    run_engine(
        folder, tokens, "lwanda", "0.50", tmp_path / "lwanda", metadata=about, languages=languages, lwanda=settings
    )
    assert (tmp_path / "wanda").read_bytes() == (tmp_path / "lwanda").read_bytes()


def test_a_job_goes_on_from_its_finished_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LWANDA-2: statistics of languages are of each layer anew, so nothing of them has to be stored."""
    register(random_model("llama"), tmp_path)
    whole, ended = tmp_path / "whole" / "mask.safetensors", tmp_path / "ended" / "mask.safetensors"
    assert run(arguments(tmp_path, "lwanda", "0.50", whole)) == 0

    def end(*_: Any) -> None:
        raise UserError("the machine was switched off")

    with monkeypatch.context() as patch:
        patch.setattr(stage, "join_layers", end)
        assert run(arguments(tmp_path, "lwanda", "0.50", ended)) == 1
    (ended.with_name("mask.safetensors.layers") / "layer-001.safetensors").unlink()
    assert run(arguments(tmp_path, "lwanda", "0.50", ended)) == 0
    assert Path(f"{ended}.log").read_text().count("taken over") == 2
    assert whole.read_bytes() == ended.read_bytes()
