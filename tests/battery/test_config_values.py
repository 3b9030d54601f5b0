"""Entries of config.json that cannot be, of which transformers takes many: refused by name, before a model is made."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.helpers.battery import Cases, part_of
from tests.helpers.model_folders import CONFIG, SHAPE, VOCABULARY, registered, used
from tests.helpers.tiny import SIZES, random_model, save_checkpoint

from polyprune.errors import UserError
from polyprune.model.checkpoint import Checkpoint
from polyprune.model.decoder import Decoder
from polyprune.running.device import choose_device
from polyprune.settings.engine import Engine
from polyprune.settings.models import FolderSource
from polyprune.stages.register_model import register_model

Judge = Callable[[str], Cases]
NAN, INFINITE = float("nan"), float("inf")


def rope(kind: str, **values: Any) -> dict[str, Any]:
    return {"rope_type": kind, "rope_theta": 10_000.0} | values


LONG = {"short_factor": [1.0] * 4, "long_factor": [2.0] * 4, "original_max_position_embeddings": 32}
LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}
SCALINGS: list[tuple[str, Any]] = [
    *(("factor", rope("linear", factor=factor)) for factor in (0, -1.0, NAN, INFINITE, "two", True, [2.0])),
    *(("rope_theta", rope("default", rope_theta=theta)) for theta in (0, -5.0, NAN, INFINITE, "many", [])),
    *(("partial_rotary_factor", rope("default", partial_rotary_factor=share)) for share in (0.0, -1, 2.0, NAN, "all")),
    *(("short_factor", rope("longrope", **LONG | {"short_factor": x})) for x in ([1.0], [], [0.0] * 4, [NAN] * 4, 1.0)),
    *(("long_factor", rope("longrope", **LONG | {"long_factor": each})) for each in ([1.0], [-1.0] * 4, ["x"] * 4)),
    *(
        ("original_max_position_embeddings", rope("yarn", factor=2.0, original_max_position_embeddings=n))
        for n in (0, -1, "x")
    ),
    *(("high_freq_factor", rope("llama3", **LLAMA3 | {"high_freq_factor": each})) for each in (1.0, 0.5, NAN, "x")),
    ("full_attention.factor", {"full_attention": rope("linear", factor=0), "sliding_attention": rope("default")}),
]
ENTRIES: list[tuple[str, Any]] = [
    *(("max_position_embeddings", value) for value in (0, -5, "many", 64.0, True)),
    *(("head_dim", value) for value in (0, -8, "8", 7.5)),
    *(("rms_norm_eps", value) for value in ("small", NAN, INFINITE, -1.0)),
    *(("pad_token_id", value) for value in (VOCABULARY, 99_999)),
    *(("rope_theta", value) for value in (0, "x", -1.0)),
]
CASES = [
    (f"{place}.{name}", {place: value}) for place in ("rope_parameters", "rope_scaling") for name, value in SCALINGS
]
CASES += [(name, {name: value}) for name, value in ENTRIES]


def with_entries(folder: Path, entries: dict[str, Any]) -> None:
    """Into config.json; what is None goes."""
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8")) | entries
    text = json.dumps({name: value for name, value in config.items() if value is not None})
    (folder / CONFIG).write_text(text, encoding="utf-8")


@pytest.mark.parametrize(("name", "entries"), part_of(CASES, 30), ids=str)
def test_an_impossible_entry_is_named(cases: Judge, good: Path, tmp_path: Path, name: str, entries: dict[str, Any]):
    folder = shutil.copytree(good, tmp_path / "model")
    with_entries(folder, entries)
    said = cases("entries of config.json").judge(entries, lambda: registered(folder), says=(f"{CONFIG}: {name} is",))
    assert said and "\n" not in said


UNKNOWN = [
    {"rope_parameters": rope("spiral", factor=2.0)},
    {"rope_parameters": None, "rope_scaling": {"type": "spiral"}},
    {"rope_parameters": "x"},
    {"rope_parameters": [1]},
    {"rope_parameters": rope("linear")},
    {"rope_parameters": rope("dynamic")},
    {"rope_parameters": rope("longrope")},
    {"hidden_act": "nonsense"},
    {"hidden_act": 3},
    {"layer_types": ["full_attention"]},
]


@pytest.mark.parametrize("entries", UNKNOWN, ids=str)
def test_what_transformers_does_not_know_ends_in_a_sentence(
    cases: Judge, good: Path, tmp_path: Path, entries: dict[str, Any]
):
    folder = shutil.copytree(good, tmp_path / "model")
    with_entries(folder, entries)
    cases("entries of config.json").judge(entries, lambda: used(registered(folder)), says=(str(folder),))


def test_scalings_that_can_be_are_taken(good: Path, tmp_path: Path):
    for number, scaling in enumerate((rope("linear", factor=2.0), rope("longrope", **LONG), rope("llama3", **LLAMA3))):
        folder = shutil.copytree(good, tmp_path / str(number) / "model")
        with_entries(folder, {"rope_parameters": scaling})
        Decoder(Checkpoint(folder), choose_device("cpu", []))


def test_without_kv_heads_there_are_as_many_as_heads(good: Path, tmp_path: Path):
    """As transformers has it: where the shape or the weights say otherwise, that is refused."""
    folder = shutil.copytree(good, tmp_path / "model")
    with_entries(folder, {"num_key_value_heads": None})
    with pytest.raises(UserError, match=r"differs from the model's config\.json: set kv_heads: 4"):
        registered(folder)
    whole = save_checkpoint(
        random_model("llama", vocab_size=VOCABULARY, num_key_value_heads=SIZES["num_attention_heads"]),
        tmp_path / "whole",
    )
    shutil.copy(good / "tokenizer.json", whole)
    with_entries(whole, {"num_key_value_heads": None})
    shape = SHAPE.model_copy(update={"kv_heads": SIZES["num_attention_heads"]})
    register_model(FolderSource(kind="folder", path=str(whole)), shape, "mine", tmp_path / "model.json", Engine(), {})
    Decoder(Checkpoint(whole), choose_device("cpu", []))
