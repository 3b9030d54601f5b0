"""The second manifest: what only prompts and answers read, apart from what decides cells."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from tests.helpers.prompting import prompting_of

from polyprune.errors import UserError
from polyprune.model.prompting import bring, locate_prompting, read_prompting
from polyprune.model.source import locate, read_manifest, write_manifest

WORDS, TEMPLATE = {"eos_token": "</s>", "added_tokens_decoder": {}}, "{{ messages }}"
Change = Callable[[Path], object]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors", "generation_config.json"):
        (folder / name).write_text("{}", encoding="utf-8")
    configure(WORDS | {"chat_template": TEMPLATE})(folder)
    register(folder)
    return folder


def register(folder: Path) -> tuple[str, str]:
    """Digests in both manifests."""
    manifest = folder.with_name("model.json")
    write_manifest(manifest, {"kind": "folder", "path": str(folder)}, folder, {})
    return read_manifest(manifest)["digest"], read_prompting(prompting_of(manifest), manifest)["digest"]


def configure(entries: Mapping[str, object]) -> Change:
    return lambda folder: (folder / "tokenizer_config.json").write_text(json.dumps(entries), encoding="utf-8")


def write(name: str, text: str) -> Change:
    def change(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")

    return change


OF_PROMPTS: dict[str, tuple[Change, str]] = {
    "the template in tokenizer_config.json": (
        configure(WORDS | {"chat_template": "{{ messages }} "}),
        r"tokenizer_config.json has SHA-256 [0-9a-f]{16}…, registered was ",
    ),
    "no template": (configure(WORDS), "tokenizer_config.json has SHA-256"),
    "a template in a file": (write("chat_template.jinja", "x"), "chat_template.jinja is new"),
    "one with a name": (write("additional_chat_templates/tools.jinja", "x"), "chat_templates/tools.jinja is new"),
    "an older file": (write("chat_template.json", "{}"), "chat_template.json is new"),
    "the end of answers": (write("generation_config.json", "[]"), "generation_config.json has SHA-256"),
    "none": (lambda folder: (folder / "generation_config.json").unlink(), "generation_config.json is gone"),
}


@pytest.mark.parametrize("name", OF_PROMPTS)
def test_what_prompts_read_is_no_part_of_the_model(model: Path, name: str) -> None:
    manifest, prompting = model.with_name("model.json"), model.with_name("prompting.json")
    assert locate_prompting(prompting, manifest) == model
    before = register(model)
    change, said = OF_PROMPTS[name]
    change(model)
    assert locate(manifest) == model
    with pytest.raises(UserError, match=said) as refused:
        locate_prompting(prompting, manifest)
    assert re.search(f"not the model that {prompting} registered.*makes prompts, evaluations and", str(refused.value))
    now = register(model)
    assert now[0] == before[0] and now[1] != before[1]
    assert locate_prompting(prompting, manifest) == model


OF_TEXT: dict[str, Mapping[str, object]] = {
    "another end of text": WORDS | {"eos_token": "<s>"},
    "an added token": WORDS | {"added_tokens_decoder": {"5": {"content": "x"}}},
    "another class": WORDS | {"tokenizer_class": "TokenizersBackend"},
}


@pytest.mark.parametrize("name", OF_TEXT)
def test_all_else_in_tokenizer_config_is_of_the_model(model: Path, name: str) -> None:
    before = register(model)
    configure({**OF_TEXT[name], "chat_template": TEMPLATE})(model)
    with pytest.raises(UserError, match=r"tokenizer_config\.json has SHA-256 .*makes all results of the model anew"):
        locate_prompting(model.with_name("prompting.json"), model.with_name("model.json"))
    now = register(model)
    assert now[0] != before[0] and now[1] == before[1]


def test_order_and_space_in_tokenizer_config_are_nothing(model: Path) -> None:
    before = register(model)
    entries = dict(reversed((WORDS | {"chat_template": TEMPLATE}).items()))
    (model / "tokenizer_config.json").write_text(json.dumps(entries, indent=4), encoding="utf-8")
    assert register(model) == before
    write("tokenizer_config.json", "[")(model)
    with pytest.raises(UserError, match=r"tokenizer_config\.json is not JSON .*fetch or save it again"):
        locate(model.with_name("model.json"))


def test_the_manifest_of_another_model_is_refused(model: Path) -> None:
    write("model.safetensors", "others")(model)
    write_manifest(model.with_name("model.json"), {"kind": "folder", "path": str(model)}, model, {})
    with pytest.raises(UserError, match=r"has model_digest [0-9a-f]{16}, expected [0-9a-f]{16}"):
        locate_prompting(model.with_name("prompting.json"), model.with_name("model.json"))


def test_a_folder_made_here_holds_what_it_should_and_no_more(model: Path) -> None:
    for name in ("chat_template.jinja", "chat_template.json"):
        write(name, "x")(model)
    times = (model / "generation_config.json").stat()
    bring({"chat_template.jinja": b"y", "generation_config.json": b"{}"}, model)
    assert json.loads((model / "tokenizer_config.json").read_text()) == WORDS
    names = {"config.json", "tokenizer.json", "model.safetensors", "generation_config.json", "tokenizer_config.json"}
    assert {file.name for file in model.iterdir()} == names | {"chat_template.jinja"}
    assert (model / "chat_template.jinja").read_bytes() == b"y"
    assert (model / "generation_config.json").stat() == times, "what is right is not written again"
