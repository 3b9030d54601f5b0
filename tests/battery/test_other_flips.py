"""One flipped bit in what is not opened as an artifact: checkpoints, exports, data, and layers of killed jobs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from tests.helpers.battery import FLIPPED, FULL, Cases
from tests.helpers.prompting import prompting_of
from tests.helpers.tiny import random_model, save_checkpoint

from polyprune.artifacts.benchmark_data import load_manifest, save_manifest
from polyprune.artifacts.cells import finished_layer, save_layer
from polyprune.artifacts.evaluations import is_finished, save_part
from polyprune.artifacts.exports import save_export_record
from polyprune.artifacts.verify import complaint
from polyprune.artifacts.weights import SparseWeight
from polyprune.model.prompting import locate_prompting
from polyprune.model.source import locate, write_manifest

Judge = Callable[[str], Cases]
FLIPS = 32 if FULL else 6
JOB = {"method": "wanda", "scheme": "0.50", "seed": 0}
UP = "model.layers.0.mlp.up_proj"
FILES = {
    "checkpoint": ("tiny/checkpoint/model.safetensors", "tiny/checkpoint/config.json", "tiny/model.json"),
    "templates": (
        "tiny/checkpoint/chat_template.jinja",
        "tiny/checkpoint/tokenizer_config.json",
        "tiny/prompting.json",
    ),
    "export": ("tiny/export/model.safetensors", "tiny/export/config.json", "tiny/export/polyprune.json"),
    "data of a benchmark": ("benchmarks/demo/arc/org/arc/test.jsonl",),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("others") / "results"
    checkpoint = save_checkpoint(random_model("llama"), root / "tiny/checkpoint")
    (checkpoint / "chat_template.jinja").write_text("{{ messages }}")
    (checkpoint / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }}", "eos_token": "x"}))
    write_manifest(root / "tiny/model.json", {"kind": "train"}, checkpoint, {})
    prompting_of(root / "tiny/model.json")
    export = shutil.copytree(checkpoint, root / "tiny/export")
    save_export_record(export, {"cell": {}}, export / "config.json")
    data = root / "benchmarks/demo/arc/org/arc/test.jsonl"
    data.parent.mkdir(parents=True)
    data.write_text(json.dumps({"question": "Wer?"}) * 40)
    save_manifest(root / "benchmarks/demo/arc.json", "arc", {"org/arc": "1"}, {})
    return root


def flipped(path: Path) -> Iterator[tuple[int, int]]:
    """The file with one bit after another flipped; whole again in the end."""
    whole, draw = path.read_bytes(), Random(path.name)
    for _ in range(FLIPS):
        at, bit = draw.randrange(len(whole)), draw.randrange(8)
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
        yield at, bit
    path.write_bytes(whole)


def checks(root: Path, kind: str) -> Callable[[], Any]:
    """What notices: who opens a model or a benchmark; of exports, which nothing of ours opens, `make verify`."""
    if kind == "checkpoint":
        return lambda: locate(root / "tiny/model.json")
    if kind == "templates":
        return lambda: locate_prompting(root / "tiny/prompting.json", root / "tiny/model.json")
    if kind == "data of a benchmark":
        return lambda: load_manifest(root / "benchmarks/demo/arc.json")
    return lambda: complaint(root / "tiny/export/config.json", root)


@pytest.mark.parametrize(("kind", "file"), [(kind, file) for kind, files in FILES.items() for file in files])
def test_a_flipped_bit_is_noticed_by_who_opens_the_whole(cases: Judge, results: Path, kind: str, file: str) -> None:
    check, judge = checks(results, kind), cases(FLIPPED)
    for place in flipped(results / file):
        if kind == "export":
            judge.judge((file, place), lambda: check() is not None, True, sure=True)
        else:
            said = judge.judge((file, place), check)
            assert said and "\n" not in said
    assert check() is None or kind != "export"


def test_a_flipped_bit_in_a_layer_of_a_killed_job_costs_the_layer(cases: Judge, tmp_path: Path) -> None:
    weight = SparseWeight.of(torch.randn(6, 8), torch.arange(48).reshape(6, 8) % 2 == 0, True)
    save_layer(tmp_path / "layers", 0, {UP: weight}, JOB)
    (part,) = (tmp_path / "layers").iterdir()

    def taken() -> list[list[float]] | None:
        reader = finished_layer(tmp_path / "layers", 0, JOB)
        return None if reader is None else reader.weight(UP).dense(torch.zeros(6, 8)).tolist()  # type: ignore[union-attr]

    right = taken()
    assert right is not None
    for place in flipped(part):
        found = taken()
        cases(FLIPPED).judge(place, lambda found=found: found in (None, right), True, sure=True)
    assert taken() == right


def test_a_flipped_bit_in_a_language_of_a_killed_evaluation_costs_the_language(cases: Judge, tmp_path: Path) -> None:
    save_part(tmp_path, "de", [{"model": "tiny", "value": 0.5}], [{"task": "t", "doc_id": 1}], JOB)
    assert is_finished(tmp_path, "de", JOB)
    for file in sorted(tmp_path.iterdir()):
        for place in flipped(file):
            cases(FLIPPED).judge((file.name, place), lambda: is_finished(tmp_path, "de", JOB), False, sure=True)
    assert is_finished(tmp_path, "de", JOB)
