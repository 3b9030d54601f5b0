"""Models in other formats: the same weights in safetensors, or refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from tests.helpers.tiny import random_model, save_checkpoint
from tests.helpers.tokenizers import TEXTS, VOCABULARY
from transformers import AutoTokenizer
from transformers.models.auto import AutoModelForCausalLM

from polyprune.errors import UserError
from polyprune.model.checkpoint import open_model
from polyprune.model.converted import convert_gguf
from polyprune.model.gguf_template import template_of, without_template
from polyprune.model.prompting import locate_prompting, read_prompting
from polyprune.model.source import locate, read_manifest
from polyprune.model.training import train_tokenizer
from polyprune.report.card import model_card
from polyprune.settings.engine import Engine
from polyprune.settings.models import GgufSource, PickledSource, Shape
from polyprune.stages.convert_model import convert_model
from polyprune.stages.register_prompting import register_prompting

QUIET = pytest.mark.filterwarnings("ignore")
OF_LAYERS = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip


def interleaved(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of queries and keys as GGUF has them: halves of a head's width in turn."""
    return weight.reshape(heads, 2, -1, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)


@pytest.fixture
def original() -> Any:
    return random_model("llama", vocab_size=VOCABULARY, hidden_size=64, intermediate_size=96, head_dim=16)


@pytest.fixture
def file(original: Any, tmp_path: Path) -> Iterator[Path]:
    """The model as a GGUF file, written by the format's own library; its up projections are quantised to 8 bit."""
    config, path = original.config, tmp_path / "small.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(VOCABULARY)
    tokenizer = json.loads(train_tokenizer(TEXTS * 20, VOCABULARY).backend_tokenizer.to_str())
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(sorted(tokenizer["model"]["vocab"], key=tokenizer["model"]["vocab"].get))
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    names = {"model.embed_tokens.weight": "token_embd", "model.norm.weight": "output_norm", "lm_head.weight": "output"}
    for layer in range(config.num_hidden_layers):
        names |= {f"model.layers.{layer}.{ours}.weight": f"blk.{layer}.{theirs}" for ours, theirs in OF_LAYERS.items()}
    for ours, weight in original.state_dict().items():
        array = weight.numpy()
        if "q_proj" in ours or "k_proj" in ours:
            heads = config.num_attention_heads if "q_proj" in ours else config.num_key_value_heads
            array = interleaved(array, heads)
        kind = gguf.GGMLQuantizationType.Q8_0 if "up_proj" in ours else gguf.GGMLQuantizationType.F32
        writer.add_tensor(f"{names[ours]}.weight", gguf.quantize(array, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    yield path


def converted(source: Any, folder: Path, shape: Shape | None = None) -> Path:
    manifest = folder / "results/small/model.json"
    convert_model(source, shape, "small", manifest, Engine(), {"code": "abc"})
    return manifest


@QUIET
def test_a_gguf_file_becomes_the_model_that_it_was_made_from(original: Any, file: Path, tmp_path: Path) -> None:
    manifest = converted(GgufSource(kind="gguf", path=str(file)), tmp_path)
    found: Any = AutoModelForCausalLM.from_pretrained(locate(manifest))
    for name, weight in original.state_dict().items():
        if "up_proj" not in name:
            assert torch.equal(found.state_dict()[name], weight), name
            continue
        kind = gguf.GGMLQuantizationType.Q8_0
        again = gguf.dequantize(gguf.quantize(weight.numpy(), kind), kind)
        assert np.array_equal(found.state_dict()[name].numpy(), again) and not np.array_equal(weight.numpy(), again)
    tokenizer = AutoTokenizer.from_pretrained(locate(manifest))
    assert [tokenizer.decode(tokenizer(text)["input_ids"]) for text in TEXTS] == TEXTS
    about = read_manifest(manifest)
    assert about["architecture"] == "LlamaForCausalLM"
    assert about["source"]["quantised"] == {"F32": 2 + 3 * 6, "Q8_0": 3}
    assert list(about["source"]["original"]) == ["small.gguf"]


@QUIET
def test_the_file_is_parsed_once(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which takes seconds for each vocabulary; afterwards the library's reader is its own again."""
    opened: list[Path] = []

    class Reader(gguf.GGUFReader):
        def __init__(self, path: Path) -> None:
            opened.append(Path(path))
            super().__init__(path)

    monkeypatch.setattr(gguf, "GGUFReader", Reader)
    (tmp_path / "made").mkdir()
    convert_gguf(file, tmp_path / "made", None)
    assert opened == [file] and gguf.GGUFReader is Reader


@QUIET
def test_another_template_in_the_file_is_no_other_model(file: Path, tmp_path: Path) -> None:
    """The digest without it is the same, with one, another, or none; any other entry and the weights are part of it."""
    manifest = converted(GgufSource(kind="gguf", path=str(file)), tmp_path)
    checkpoint, prompting = manifest.parent / "checkpoint", manifest.with_name("prompting.json")
    digests, renewed = set(), file.with_name("renewed.gguf")
    for number, template in enumerate((None, "{{ messages }}" * 7, "{{ messages[0] }}")):
        add_entries(file, renewed, {} if template is None else {"tokenizer.chat_template": template})
        renewed.replace(file)
        assert without_template(file) == read_manifest(manifest)["source"]["without_template"]
        register_prompting(manifest, prompting, {})
        found = AutoTokenizer.from_pretrained(locate_prompting(prompting, manifest)).chat_template
        assert found == template == template_of(file)
        digests.add(read_prompting(prompting)["digest"])
        if template:
            assert converted(GgufSource(kind="gguf", path=str(file)), tmp_path / str(number))
            assert (tmp_path / f"{number}/results/small/checkpoint/chat_template.jinja").read_text() == template
    assert len(digests) == 3
    add_entries(file, renewed, {"general.name": "another"})
    assert without_template(renewed) != without_template(file)
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    assert without_template(file) != read_manifest(manifest)["source"]["without_template"]
    assert checkpoint.is_dir()


def add_entries(file: Path, output: Path, entries: dict[str, str]) -> None:
    """The file with these entries, and no template beside."""
    reader, writer = gguf.GGUFReader(file), gguf.GGUFWriter(output, "llama")
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name in ("general.architecture", "tokenizer.chat_template", *entries):
            continue
        kinds = field.types
        writer.add_key_value(name, field.contents(), kinds[0], kinds[1] if len(kinds) > 1 else None)
    for name, value in entries.items():
        writer.add_string(name, value)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@QUIET
def test_weights_are_written_in_the_dtype_that_is_asked_for(original: Any, file: Path, tmp_path: Path) -> None:
    manifest = converted(GgufSource(kind="gguf", path=str(file), dtype="bfloat16"), tmp_path)
    checkpoint = open_model(manifest)
    assert set(checkpoint.stored_as.values()) == {"BF16"} and checkpoint.dtype == torch.bfloat16
    name = "model.layers.0.self_attn.q_proj.weight"
    assert torch.equal(checkpoint.tensor(name), original.state_dict()[name].bfloat16())


@QUIET
def test_matrices_of_other_sizes_than_the_file_names_are_refused(original: Any, file: Path, tmp_path: Path) -> None:
    data = bytearray(file.read_bytes())
    at = data.index(b"llama.attention.head_count_kv") + len(b"llama.attention.head_count_kv") + 4
    assert data[at] == original.config.num_key_value_heads
    data[at] = 4
    file.write_bytes(data)
    with pytest.raises(UserError, match=r"k_proj\.weight is \(32, 64\), and \(64, 64\) in a model of the sizes"):
        converted(GgufSource(kind="gguf", path=str(file)), tmp_path)


@QUIET
def test_a_shape_by_hand_is_compared(file: Path, tmp_path: Path) -> None:
    shape = Shape(layers=9, hidden=64, intermediate=96, heads=4, kv_heads=2, vocabulary=VOCABULARY, max_positions=64)
    with pytest.raises(UserError, match=r"models\.small\.shape differs from the model's config\.json: set layers: 3"):
        converted(GgufSource(kind="gguf", path=str(file)), tmp_path, shape)
    assert not (tmp_path / "results/small/model.json").exists()


def test_what_is_no_gguf_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"GGUF" + b"\0" * 64)
    with pytest.raises(UserError, match=r"x\.gguf: transformers cannot read it"):
        converted(GgufSource(kind="gguf", path=str(tmp_path / "x.gguf")), tmp_path)


def pickled(model: Any, folder: Path) -> Path:
    save_checkpoint(model, folder)
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    return folder


def test_pickled_weights_are_read_where_they_are_asked_for(original: Any, tmp_path: Path) -> None:
    folder = pickled(original, tmp_path / "old")
    checkpoint = open_model(converted(PickledSource(kind="pickles", path=str(folder)), tmp_path))
    for name, weight in original.state_dict().items():
        assert torch.equal(checkpoint.tensor(name), weight)


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("code of others",)


def test_pickles_run_no_code(original: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = pickled(original, tmp_path / "old")
    torch.save({"weight": _Evil()}, folder / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"pytorch_model\.bin holds more than weights"):
        converted(PickledSource(kind="pickles", path=str(folder)), tmp_path)
    assert "code of others" not in capsys.readouterr().out
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(UserError, match=r"has no pytorch_model\.bin"):
        converted(PickledSource(kind="pickles", path=str(folder)), tmp_path)


def test_the_card_says_that_the_base_was_quantised() -> None:
    cell: Any = dict.fromkeys(("method", "scheme", "seed", "model_digest", "calibration_digest", "code"), "x") | {
        "calibration": "de"
    }
    source = {"kind": "gguf", "path": "a", "quantised": {"F32": 1, "Q4_1": 210}}
    said = (
        "The dense model was quantised before, in a GGUF file (1 of its matrices as F32, 210 of its matrices as Q4_1)"
    )
    assert said in model_card(cell, "Small", source)
    assert "quantised before" not in model_card(cell, "Small", {"kind": "folder", "path": "a"})
