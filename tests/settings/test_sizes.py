"""Sizes of a model as its files say them, when a run is planned."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from gguf import GGUFWriter
from tests.helpers.checkout import ROOT
from transformers import (
    CONFIG_MAPPING,
    BloomConfig,
    FalconConfig,
    Gemma3Config,
    GPT2Config,
    LlamaConfig,
    MptConfig,
    Phi3Config,
)
from transformers.models.auto import AutoModelForCausalLM

from polyprune.errors import UserError
from polyprune.settings.models import FolderSource, GgufSource, HubSource, Model, Shape, TextSettings
from polyprune.settings.sizes import sizes_of_config

TEXT = TextSettings(corpus="c", sequence_length=8, calibration_sequences=1, evaluation_sequences=1, sampling="packed")
FAMILIES: dict[str, tuple[Any, tuple[int, ...]]] = {
    "llama": (
        LlamaConfig(
            num_hidden_layers=2, hidden_size=64, intermediate_size=96, num_attention_heads=4, num_key_value_heads=2,
            vocab_size=99, max_position_embeddings=128,
        ),
        (2, 64, 96, 4, 2, 99, 128),
    ),
    "phi3": (
        Phi3Config(
            num_hidden_layers=3, hidden_size=64, intermediate_size=96, num_attention_heads=4, num_key_value_heads=4,
            vocab_size=99, max_position_embeddings=32, pad_token_id=0,
        ),
        (3, 64, 96, 4, 4, 99, 32),
    ),
    "gpt2": (GPT2Config(n_layer=5, n_embd=64, n_head=4, vocab_size=99, n_positions=77), (5, 64, 256, 4, 4, 99, 77)),
    "falcon": (
        FalconConfig(num_hidden_layers=5, hidden_size=64, num_attention_heads=4, num_kv_heads=2, vocab_size=99),
        (5, 64, 256, 4, 2, 99, 2048),
    ),
    "bloom": (
        BloomConfig.from_dict({"n_layer": 5, "hidden_size": 64, "n_head": 4, "vocab_size": 99, "seq_length": 48}),
        (5, 64, 256, 4, 4, 99, 48),
    ),
    "mpt": (MptConfig(n_layers=5, d_model=64, n_heads=4, vocab_size=99, max_seq_len=48), (5, 64, 256, 4, 4, 99, 48)),
    "gemma3, whose text is a part": (
        Gemma3Config(
            text_config={
                "num_hidden_layers": 3, "hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4,
                "num_key_value_heads": 1, "vocab_size": 99, "max_position_embeddings": 128,
            }
        ),
        (3, 64, 96, 4, 1, 99, 128),
    ),
}  # fmt: skip
NAMES = ("layers", "hidden", "intermediate", "heads", "kv_heads", "vocabulary", "max_positions")


def model(source: Any, shape: Shape | None = None) -> Model:
    return Model(title="Mine", source=source, shape=shape, text=TEXT)


@pytest.mark.parametrize("family", FAMILIES)
def test_sizes_of_a_folder_are_read(family: str, tmp_path: Path) -> None:
    config, expected = FAMILIES[family]
    config.save_pretrained(tmp_path)
    sizes = model(FolderSource(kind="folder", path=str(tmp_path))).sizes
    assert tuple(getattr(sizes, name) for name in NAMES) == expected


def test_weights_of_16_bits_and_a_head_of_its_own_width_count() -> None:
    wide = {**FAMILIES["llama"][0].to_dict(), "head_dim": 32, "dtype": "bfloat16"}
    sizes = Shape.model_validate(sizes_of_config(wide, "x"))
    assert (sizes.head, sizes.bytes_per_weight) == (32, 2)
    assert sizes.linear_weights == 2 * (64 * 32 * (2 * 4 + 2 * 2) + 3 * 64 * 96)
    assert sizes_of_config({**wide, "dtype": "float32"}, "x")["bytes_per_weight"] == 4


MIXTURES = ("mixtral", "qwen2_moe", "qwen3_moe", "olmoe", "deepseek_v3", "glm4_moe", "gpt_oss", "granitemoeshared")


@pytest.mark.parametrize("family", MIXTURES)
def test_weights_of_all_experts_count(family: str) -> None:
    """Of the published sizes of each, two layers; MLA's four matrices are not exactly those of an attention."""
    config: Any = CONFIG_MAPPING[family]()
    config.num_hidden_layers, config.first_k_dense_replace = 2, 0
    for name in ("mlp_layer_types", "layer_types"):
        if config.to_dict().get(name):
            setattr(config, name, getattr(config, name)[-2:])
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    matrices = [(name, each) for name, each in model.named_parameters() if ".layers." in name and each.dim() > 1]
    routers = sum(each.numel() for name, each in matrices if name.rpartition(".")[0].endswith(("gate", "router")))
    sizes = Shape.model_validate(sizes_of_config(config.to_dict(), "x"))
    actual = sum(each.numel() for _, each in matrices) - routers
    assert sizes.linear_weights == pytest.approx(actual, rel=0.005)
    assert sizes.active_weights < sizes.linear_weights / 2


def test_a_token_meets_its_experts_and_the_shared_ones() -> None:
    config = FAMILIES["llama"][0].to_dict() | {
        "num_experts": 8, "moe_intermediate_size": 16, "num_experts_per_tok": 2, "n_shared_experts": 3,
    }  # fmt: skip
    sizes = Shape.model_validate(sizes_of_config(config, "x"))
    attention = 64 * 16 * (2 * 4 + 2 * 2)
    assert sizes.linear_weights == 2 * (attention + 3 * 64 * (8 * 16 + 3 * 16))
    assert sizes.active_weights == 2 * (attention + 3 * 64 * (2 * 16 + 3 * 16))
    dense = Shape.model_validate(sizes_of_config(config | {"num_experts": 1}, "x"))
    assert dense.linear_weights == dense.active_weights == 2 * (attention + 3 * 64 * 96)


@pytest.mark.parametrize(
    ("stored", "asked", "bytes_per_weight"), [("bfloat16", "float32", 4), ("float32", "float16", 2)]
)
def test_a_dtype_that_is_asked_for_decides(stored: str, asked: str, bytes_per_weight: int, tmp_path: Path) -> None:
    config = FAMILIES["llama"][0].to_dict() | {"dtype": stored}
    (tmp_path / "config.json").write_text(json.dumps(config))
    own, other = (
        FolderSource.model_validate({"kind": "folder", "path": str(tmp_path), "dtype": dtype})
        for dtype in (None, asked)
    )
    assert model(other).sizes.bytes_per_weight == bytes_per_weight != model(own).sizes.bytes_per_weight


def test_a_shape_by_hand_is_taken_and_nothing_is_read() -> None:
    shape = Shape(layers=1, hidden=8, intermediate=8, heads=2, kv_heads=1, vocabulary=9, max_positions=7)
    assert model(FolderSource(kind="folder", path="/nowhere"), shape).sizes is shape


@pytest.mark.parametrize("lacking", ["num_hidden_layers", "vocab_size", "max_position_embeddings"])
def test_what_is_not_named_is_asked_for(lacking: str) -> None:
    config = {name: value for name, value in FAMILIES["llama"][0].to_dict().items() if name != lacking}
    with pytest.raises(UserError, match=r"^models\.x: the model's files name no \w+ that is .*say `shape` by hand"):
        sizes_of_config(config, "models.x")


def test_sizes_of_the_hub_are_those_of_the_locked_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = HubSource(kind="hub", id="org/name")
    with pytest.raises(UserError, match="model Mine: its sizes are not known before it is registered"):
        _ = model(source).sizes
    sizes = {name: 8 * (1 + place) for place, name in enumerate(NAMES)}
    lock = {"models": {"org/name": "a" * 40}, "sizes": {"org/name@" + "a" * 40: sizes}}
    Path("revisions.lock").write_text(json.dumps(lock))
    assert model(source).sizes.vocabulary == 48
    assert model(HubSource(kind="hub", id="org/name", revision="b" * 40)).known_sizes is None
    Path("revisions.lock").write_text("<<<<<<< HEAD\n")
    with pytest.raises(UserError, match=r"^revisions\.lock cannot be read \(.*\): restore it, as from git$"):
        _ = model(source).sizes


def gguf(path: Path, named: bool = True) -> Path:
    writer = GGUFWriter(path, "llama")
    writer.add_block_count(2)
    writer.add_embedding_length(64)
    writer.add_feed_forward_length(96)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_context_length(128)
    if named:
        writer.add_vocab_size(99)
    writer.add_token_list([f"t{number}" for number in range(99)])
    writer.add_description("after the tokens")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path


@pytest.mark.parametrize("named", [True, False], ids=["vocabulary named", "vocabulary counted"])
def test_sizes_of_a_gguf_file_are_read_from_its_header(tmp_path: Path, named: bool) -> None:
    source = GgufSource(kind="gguf", path=str(gguf(tmp_path / "x.gguf", named)))
    assert tuple(getattr(model(source).sizes, name) for name in NAMES) == FAMILIES["llama"][1]
    assert model(source).sizes.bytes_per_weight == 4
    assert model(source.model_copy(update={"dtype": "bfloat16"})).sizes.bytes_per_weight == 2


@pytest.mark.parametrize("content", [b"", b"GGUF", b"PK\x03\x04" * 99, b"GGUF\x01\0\0\0" + b"\0" * 16])
def test_what_is_no_gguf_file_is_refused_by_its_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.gguf").write_bytes(content)
    with pytest.raises(UserError, match=r"x\.gguf (is no GGUF|cannot be read as GGUF|is GGUF of version 1)"):
        _ = model(GgufSource(kind="gguf", path=str(tmp_path / "x.gguf"))).sizes


def test_a_gguf_file_is_said_by_path_or_by_repository_and_file() -> None:
    for wrong in ({}, {"path": "a", "id": "o/n", "file": "f"}, {"id": "o/n"}, {"path": "a", "file": "f"}):
        with pytest.raises(ValueError, match="one of"):
            GgufSource.model_validate({"kind": "gguf", **wrong})


def test_planning_needs_neither_torch_nor_transformers(tmp_path: Path) -> None:
    FAMILIES["llama"][0].save_pretrained(tmp_path)
    program = (
        "import sys; from polyprune.settings.models import FolderSource, GgufSource, _read_sizes as read\n"
        f"assert read(FolderSource(kind='folder', path={str(tmp_path)!r}), 'x')['layers'] == 2\n"
        f"assert read(GgufSource(kind='gguf', path={str(gguf(tmp_path / 'x.gguf'))!r}), 'x')['layers'] == 2\n"
        "sys.exit(bool({'torch', 'transformers', 'numpy', 'gguf'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program]
    assert subprocess.run(command, check=False, env={"PYTHONPATH": str(ROOT / "workflow_scripts")}).returncode == 0


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda _: None, "model folder {place} does not exist; correct `source.path`"),
        (lambda place: place.touch(), "model folder {place} is a file; a model is the folder that holds config.json;"),
        (lambda place: place.mkdir(), "{place} has no config.json: it is not a model folder"),
    ],
    ids=["nothing", "a file", "an empty folder"],
)
def test_what_is_no_model_folder_is_called_what_it_is(tmp_path: Path, made: Any, said: str):
    place = tmp_path / "m"
    made(place)
    with pytest.raises(UserError) as refused:
        _ = model(FolderSource(kind="folder", path=str(place))).sizes
    words = str(refused.value)
    assert words.startswith(f"model Mine: {said.format(place=place)}") and "Errno" not in words
