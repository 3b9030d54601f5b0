"""Model folders and tokenizers, damaged before and after they were registered: what was there, or one sentence."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from safetensors.torch import load_file, save_file
from tests.helpers.battery import REFUSED, Cases, contents, part_of
from tests.helpers.model_folders import CONFIG, registered, used
from tests.helpers.tiny import SIZES

Judge = Callable[[str], Cases]
Damage = Callable[[Path], Any]
GOOD: Any = "what the good folder gives"
DEEP = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
PADDING = {"strategy": {"Fixed": 64}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 1, "pad_type_id": 0}
PADDING["pad_token"] = "<pad>"
TRUNCATION = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
UP = "model.layers.1.mlp.up_proj.weight"


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    return shutil.copytree(good, tmp_path / "model")


def untouched(_: Path) -> None:
    """No damage."""


def put(file: str, data: bytes) -> Damage:
    return lambda folder: (folder / file).write_bytes(data)


def entries(file: str, **changes: Any) -> Damage:
    """Change entries of a JSON file; None removes one."""

    def damage(folder: Path) -> None:
        found = json.loads((folder / file).read_text(encoding="utf-8"))
        found = {key: value for key, value in {**found, **changes}.items() if value is not None}
        (folder / file).write_text(json.dumps(found), encoding="utf-8")

    return damage


def weights(change: Callable[[dict[str, Any]], Any]) -> Damage:
    def damage(folder: Path) -> None:
        state = load_file(folder / "model.safetensors")
        change(state)
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})

    return damage


def index(places: Any) -> Damage:
    """An index instead of the single file."""

    def damage(folder: Path) -> None:
        (folder / "model.safetensors").rename(folder / "a.safetensors")
        (folder / "model.safetensors.index.json").write_text(json.dumps(places))

    return damage


def named_index(folder: Path) -> None:
    index({"weight_map": dict.fromkeys(load_file(folder / "model.safetensors"), "a.safetensors")})(folder)


def twice(folder: Path) -> None:
    """A second file that holds other weights of one name, and an index over both."""
    named_index(folder)
    state = load_file(folder / "a.safetensors")
    save_file({UP: state[UP] * 2}, folder / "b.safetensors")
    places = {**dict.fromkeys(state, "a.safetensors"), UP: "b.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))


def gone(file: str) -> Damage:
    return lambda folder: (folder / file).unlink()


def longer(file: str) -> Damage:
    return lambda folder: (folder / file).write_bytes((folder / file).read_bytes() + b" ")


def folder_instead(file: str) -> Damage:
    def damage(folder: Path) -> None:
        (folder / file).unlink()
        (folder / file).mkdir()

    return damage


TOKENIZER, OF_TOKENIZER, SINGLE = "tokenizer.json", "tokenizer_config.json", "model.safetensors"
TABLE: list[tuple[str, Damage, Any]] = [
    ("nothing", untouched, GOOD),
    ("a file more", put("notes.md", b"x"), GOOD),
    ("times", lambda folder: os.utime(folder / SINGLE, (0, 0)), GOOD),
    ("an index to the same file", named_index, GOOD),
    ("a stale index", put("model.safetensors.index.json", b'{"weight_map": {"x": "gone.safetensors"}}'), GOOD),
    ("padding saved", entries(TOKENIZER, padding=PADDING), GOOD),
    ("truncation saved", entries(TOKENIZER, truncation=TRUNCATION), GOOD),
    ("a short model_max_length", entries(OF_TOKENIZER, model_max_length=4), GOOD),
    *(
        (f"{file}: {name}", put(file, data), REFUSED)
        for file in (CONFIG, TOKENIZER, OF_TOKENIZER)
        for name, data in (
            ("empty", b""),
            ("list", b"[]"),
            ("null", b"null"),
            ("number", b"12"),
            ("text", b'"x"'),
            ("cut", b'{"a": 1'),
            ("latin", b'{"a": "\xf6"}'),
            ("utf-16", '{"a": 1}'.encode("utf-16")),
            ("deep", DEEP),
            ("nul", b"\x00" * 64),
        )
    ),
    *((f"{file}: gone", gone(file), REFUSED) for file in (CONFIG, TOKENIZER, SINGLE)),
    *((f"{file}: a folder", folder_instead(file), REFUSED) for file in (CONFIG, TOKENIZER, SINGLE)),
    *(
        (f"{name} {value!r}", entries(CONFIG, **{name: value}), REFUSED)
        for name in ("num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads", "vocab_size")
        for value in (0, -1, "3", 1.5, True, [], {}, 10**9, SIZES.get(name, 0) + 1)
    ),
    ("heads that do not divide", entries(CONFIG, num_attention_heads=5), REFUSED),
    ("groups that do not divide", entries(CONFIG, num_key_value_heads=3), REFUSED),
    ("remote code", entries(CONFIG, auto_map={"AutoModel": "x.X"}), REFUSED),
    ("quantised", entries(CONFIG, quantization_config={"quant_method": "gptq", "bits": 4}), REFUSED),
    ("quantised, a word", entries(CONFIG, quantization_config="fp8"), REFUSED),
    ("another architecture", entries(CONFIG, architectures=["MambaForCausalLM"], model_type="mamba"), REFUSED),
    ("unknown type of model", entries(CONFIG, model_type="nothing"), REFUSED),
    ("no type of model", entries(CONFIG, model_type=None), REFUSED),
    ("dtype float64", entries(CONFIG, dtype="float64"), REFUSED),
    ("dtype a number", entries(CONFIG, dtype=16), REFUSED),
    ("weights: empty", put(SINGLE, b""), REFUSED),
    ("weights: text", put(SINGLE, b"version https://git-lfs.github.com/spec/v1\n"), REFUSED),
    ("weights: a header too long", put(SINGLE, (2**62).to_bytes(8, "little") + b"{}"), REFUSED),
    ("weights: no tensors", put(SINGLE, (2).to_bytes(8, "little") + b"{}"), REFUSED),
    ("weights: cut", lambda folder: os.truncate(folder / SINGLE, 9999), REFUSED),
    ("weights: one less", weights(lambda state: state.pop(UP)), REFUSED),
    ("weights: another shape", weights(lambda state: state.update({UP: state[UP][:, :16].contiguous()})), REFUSED),
    ("weights: codes", weights(lambda state: state.update({UP: state[UP].char()})), REFUSED),
    ("weights: float64", weights(lambda state: state.update({UP: state[UP].double()})), REFUSED),
    ("index: a list", index([]), REFUSED),
    ("index: no map", index({}), REFUSED),
    ("index: an empty map", index({"weight_map": {}}), REFUSED),
    ("index: numbers", index({"weight_map": {UP: 1}}), REFUSED),
    ("index: out of the folder", index({"weight_map": {UP: "../a.safetensors"}}), REFUSED),
    ("index: absolute", index({"weight_map": {UP: "/etc/passwd"}}), REFUSED),
    ("index: a shard less", index({"weight_map": {UP: "b.safetensors"}}), REFUSED),
    ("index: a tensor twice", twice, REFUSED),
    ("an adapter beside", put("adapter_config.json", b"{}"), REFUSED),
    ("BOS beyond all numbers", entries(CONFIG, bos_token_id=10**12), REFUSED),
    ("BOS unknown", entries(OF_TOKENIZER, bos_token="<|begin|>"), REFUSED),
    ("EOS unknown", entries(OF_TOKENIZER, eos_token="<|end|>"), REFUSED),
    ("EOS a number beyond", entries(CONFIG, eos_token_id=99_999), REFUSED),
    ("EOS below zero", entries(CONFIG, eos_token_id=-7), REFUSED),
    ("BOS in words", entries(CONFIG, bos_token_id="<s>"), REFUSED),
    ("tokenizer: no model", entries(TOKENIZER, model=None), REFUSED),
    ("tokenizer: another version", entries(TOKENIZER, version="9.0"), REFUSED),
]
"""What is done to a good folder before it is registered, and what jobs then take of it."""


@pytest.fixture(scope="module")
def right(good: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return used(registered(shutil.copytree(good, tmp_path_factory.mktemp("right") / "model")))


CHOSEN = part_of(TABLE, 40)


@pytest.mark.parametrize(("name", "damage", "wanted"), CHOSEN, ids=[name for name, *_ in CHOSEN])
def test_a_damaged_folder(
    cases: Judge, folder: Path, right: dict[str, Any], name: str, damage: Damage, wanted: Any
) -> None:
    damage(folder)
    is_good = wanted is GOOD
    surface = "tokenizers" if "token" in name.lower() or "OS " in name else "model folders"
    said = cases(surface).judge(name, lambda: used(registered(folder)), right if is_good else REFUSED, sure=is_good)
    assert said is None or "\n" not in said


LATER: list[tuple[str, Damage, Any]] = [
    ("nothing", untouched, GOOD),
    ("touched", lambda folder: [file.touch() for file in folder.iterdir()], GOOD),
    (
        "copied",
        lambda folder: folder.rename(folder.parent / "x") and shutil.copytree(folder.parent / "x", folder),
        GOOD,
    ),
    ("a file more", put("README.md", b"x"), GOOD),
    *((f"{file}: gone", gone(file), REFUSED) for file in (CONFIG, TOKENIZER, OF_TOKENIZER, SINGLE)),
    *((f"{file}: a byte more", longer(file), REFUSED) for file in (CONFIG, TOKENIZER, SINGLE)),
    ("a space in tokenizer_config.json", longer(OF_TOKENIZER), GOOD),
    ("weights times 1.05", weights(lambda state: state.update({UP: state[UP] * 1.05})), REFUSED),
    ("another template, which no text needs", put("chat_template.jinja", b"{{ messages }}"), GOOD),
    ("other ends of an answer", put("generation_config.json", b'{"eos_token_id": [1, 2]}'), GOOD),
    ("another configuration", entries(CONFIG, rms_norm_eps=0.1), REFUSED),
    ("moved away", lambda folder: folder.rename(folder.parent / "x"), REFUSED),
    ("a file in its place", lambda folder: folder.rename(folder.parent / "x") and folder.write_bytes(b""), REFUSED),
]
"""What is done to a folder after it was registered."""


@pytest.mark.parametrize(("name", "damage", "wanted"), LATER, ids=[name for name, *_ in LATER])
def test_a_folder_that_changed_after_it_was_registered(
    cases: Judge, folder: Path, right: dict[str, Any], name: str, damage: Damage, wanted: Any
) -> None:
    manifest = registered(folder)
    before = contents(manifest.parent)
    damage(folder)
    is_good = wanted is GOOD
    cases("model folders").judge(name, lambda: used(manifest), right if is_good else REFUSED, sure=is_good)
    after = contents(manifest.parent)
    assert {place: after[place] for place in before if ".cache" not in place} == {
        place: sha for place, sha in before.items() if ".cache" not in place
    }


@pytest.mark.parametrize("file", [CONFIG, TOKENIZER, OF_TOKENIZER, SINGLE])
def test_a_flipped_bit_after_registration_is_refused(cases: Judge, folder: Path, file: str) -> None:
    """Of the same size, so that only the content tells; four places of each file."""
    manifest, judge, draw = registered(folder), cases("model folders"), Random(file)
    whole = (folder / file).read_bytes()
    for _ in range(4):
        at, bit = draw.randrange(len(whole)), draw.randrange(8)
        (folder / file).write_bytes(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
        judge.judge((file, at, bit), lambda: used(manifest), says=(file,))
