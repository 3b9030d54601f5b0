"""Models that were converted, compared with what they were converted from when a run is planned."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import gguf
import pytest
from tests.helpers.checkout import ROOT
from tests.helpers.outside import look_outside, put

from polyprune.artifacts.model_files import Files, describe
from polyprune.model.gguf_template import without_template
from polyprune.model.prompting import prompting_files, write_prompting
from polyprune.model.source import OF_TEXT, files_of, write_manifest
from polyprune.places import reference

CONFIG = """\
corpora:
  little: {{kind: demo, languages: [de], documents: {{train: 2, calibration: 2, evaluation: 2}}}}
models:
  mine:
    title: Mine
    source: {{kind: {kind}, path: {path}}}
    shape: {{layers: 2, hidden: 8, intermediate: 8, heads: 2, kv_heads: 2, vocabulary: 16, max_positions: 64}}
    text: {{corpus: little, sequence_length: 4, calibration_sequences: 2, evaluation_sequences: 2, sampling: packed}}
studies: {{}}
"""
MODEL, PROMPTING = Path("results/mine/model.json"), Path("results/mine/prompting.json")
TOKENIZER_CONFIG = '{"eos_token": "%s", "chat_template": "%s"}'
MINE = {"model": "mine"}


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def planned(kind: str, path: str) -> set[str]:
    """What is made again."""
    return look_outside("prompting", MINE, CONFIG.format(kind=kind, path=path))[0]


def register(kind: str, original: Files, prompting: Files, **about: str) -> None:
    """As the jobs do it, of a folder that was converted."""
    folder = MODEL.parent / "checkpoint"
    for name in ("config.json", "tokenizer.json", "model.safetensors", "chat_template.jinja"):
        put(folder / name, "{}")
    source = {"kind": kind, "path": reference("models", "mine"), "original": original, **about}
    write_manifest(MODEL, source, folder, {})
    write_prompting(PROMPTING, MODEL, folder, prompting, {})


@pytest.fixture
def pickled() -> None:
    folder = Path("old")
    for name in ("config.json", "tokenizer.json", "pytorch_model.bin", "chat_template.jinja", "README.md"):
        put(folder / name, "{}")
    put(folder / "tokenizer_config.json", TOKENIZER_CONFIG % ("a", "b"))
    original = describe(folder, ["pytorch_model.bin", *files_of(folder, OF_TEXT)])
    register("pickles", original, describe(folder, prompting_files(folder), prompting=True))


OF_PICKLES: dict[str, tuple[Callable[[], object], set[Path]]] = {
    "touched": (lambda: [os.utime(file) for file in Path().rglob("*")], set()),
    "no matter": (lambda: put(Path("old/README.md"), "x"), set()),
    "weights": (lambda: put(Path("old/pytorch_model.bin"), "[]"), {MODEL}),
    "tokens": (lambda: put(Path("old/tokenizer.json"), "[]"), {MODEL}),
    "more tokens": (lambda: put(Path("old/added_tokens.json"), "[]"), {MODEL}),
    "the end of text": (lambda: put(Path("old/tokenizer_config.json"), TOKENIZER_CONFIG % ("c", "b")), {MODEL}),
    "a template": (lambda: put(Path("old/chat_template.jinja"), "[]"), {PROMPTING}),
    "a template inside": (lambda: put(Path("old/tokenizer_config.json"), TOKENIZER_CONFIG % ("a", "c")), {PROMPTING}),
    "an end of answers": (lambda: put(Path("old/generation_config.json"), "[]"), {PROMPTING}),
    "the converted weights": (lambda: put(MODEL.parent / "checkpoint/model.safetensors", "[]"), {MODEL}),
    "the converted template": (lambda: put(MODEL.parent / "checkpoint/chat_template.jinja", "[]"), {PROMPTING}),
    "the converted model": (lambda: (MODEL.parent / "checkpoint").rename("aside"), {MODEL}),
}


@pytest.mark.parametrize("name", OF_PICKLES)
@pytest.mark.usefixtures("pickled")
def test_of_pickled_weights_what_changed_makes_its_own_part_again(name: str) -> None:
    assert planned("pickles", "old") == set()
    change, again = OF_PICKLES[name]
    change()
    assert planned("pickles", "old") == set(map(str, again))


def write_gguf(file: Path, template: str | None, width: int = 4) -> None:
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_block_count(2)
    if template is not None:
        writer.add_chat_template(template)
    writer.add_token_list(["a", "b"])
    writer.add_tensor("weight", gguf.np.ones((3, width), gguf.np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture
def file() -> Path:
    file = Path("small.gguf")
    write_gguf(file, "{{ messages }}")
    found = describe(file.parent, [file.name])
    register("gguf", found, found, without_template=without_template(file))
    return file


OF_GGUF: dict[str, tuple[Callable[[Path], object], set[Path]]] = {
    "touched": (os.utime, set()),
    "another template": (lambda file: write_gguf(file, "{{ messages }} " * 9), {PROMPTING}),
    "no template": (lambda file: write_gguf(file, None), {PROMPTING}),
    "weights": (lambda file: write_gguf(file, "{{ messages }}", 5), {MODEL}),
    "weights and template": (lambda file: write_gguf(file, "{{ messages }} ", 5), {MODEL}),
    "half of it": (lambda file: file.write_bytes(file.read_bytes()[:-9]), {MODEL}),
    "the beginning of it": (lambda file: file.write_bytes(file.read_bytes()[:90]), {MODEL}),
    "nothing": (lambda file: file.write_bytes(b""), {MODEL}),
}


@pytest.mark.parametrize("name", OF_GGUF)
def test_of_a_gguf_file_what_changed_makes_its_own_part_again(file: Path, name: str) -> None:
    assert planned("gguf", str(file)) == set()
    change, again = OF_GGUF[name]
    change(file)
    assert planned("gguf", str(file)) == set(map(str, again))


def test_a_gguf_file_of_another_name_is_the_same(file: Path) -> None:
    file.rename("another.gguf")
    assert planned("gguf", "another.gguf") == set()


def test_only_what_is_asked_or_exported_reads_the_second_manifest() -> None:
    text = "".join(file.read_text(encoding="utf-8") for file in sorted((ROOT / "rules").glob("*.smk")))
    stages = {
        re.findall(r"-m polyprune (\w+)", rule)[0]
        for rule in re.split(r"^ *rule\b", text, flags=re.MULTILINE)
        if 'prompting="results/{model}/prompting.json"' in rule
    }
    assert stages == {"build_prompt_set", "evaluate_model", "export_model"}
