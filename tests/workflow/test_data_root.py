"""Benchmarks in a folder of the user's, looked at when a run is planned: for the languages that models have."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.helpers.outside import look_outside, put

from polyprune.artifacts.benchmark_data import save_manifest
from polyprune.grammar.benchmarks import datasets
from polyprune.places import reference

CONFIG = """
corpora:
  own: {kind: files, files: {de: text/de.txt}, shares: {calibration: 0.5, evaluation: 0.5}}
models:
  mine:
    title: Mine
    source: {kind: hub, id: org/mine}
    shape: {layers: 2, hidden: 8, intermediate: 8, heads: 2, kv_heads: 2, vocabulary: 16, max_positions: 64}
    text: {corpus: own, sequence_length: 4, calibration_sequences: 2, evaluation_sequences: 2, sampling: packed}
evaluation: {data_root: bench}
studies: {}
"""
ARC = {"benchmark": "arc"}


def look(kind: str, wildcards: dict[str, str]) -> tuple[set[str], list[str]]:
    return look_outside(kind, wildcards, CONFIG)


def register() -> None:
    data = dict.fromkeys(datasets("arc", "hub"), "x")
    save_manifest(Path("results/benchmarks/hub/arc.json"), reference("benchmarks"), data, {})


def refusal(kind: str, wildcards: dict[str, str]) -> str:
    with pytest.raises(SystemExit) as refused:
        look(kind, wildcards)
    return str(refused.value).split("\n  ")[1]


def test_a_data_root_needs_the_data_sets_of_the_languages_that_a_model_has_texts_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model has texts in German: English ARC may be missing, come later, and go again; the others may not."""
    monkeypatch.chdir(tmp_path)
    for name in datasets("arc", "hub"):
        put(Path("bench") / name / "test.jsonl", "{}\n")
    asked = {"model": "mine", "benchmark": "arc"}
    shutil.rmtree("bench/allenai/ai2_arc")
    assert look("benchmark", ARC) == look("questions", asked) == (set(), [])
    save_manifest(Path("results/benchmarks/hub/arc.json"), reference("benchmarks"), {"alexandrainst/m_arc": "x"}, {})
    assert look("benchmark", ARC) == look("questions", asked) == (set(), [])
    put(Path("bench/allenai/ai2_arc/test.jsonl"), "{}")
    (said,) = look("benchmark", ARC)[1]
    assert said.endswith(f"depends on it: {tmp_path}/bench/allenai/ai2_arc was not registered")
    register()
    shutil.rmtree("bench/allenai/ai2_arc")
    (said,) = look("benchmark", ARC)[1]
    assert said.startswith(f"{tmp_path}/bench/allenai/ai2_arc does not exist; what is finished stays")
    assert look("questions", asked) == (set(), [])
    put(Path("bench/allenai/ai2_arc/test.jsonl"), "{}")
    Path("results/benchmarks/hub/arc.json").unlink()
    shutil.rmtree("bench/alexandrainst/m_arc")
    assert refusal("questions", asked) == (
        f"own.yaml:10: evaluation.data_root: {tmp_path}/bench/alexandrainst/m_arc does not exist, and mine has texts "
        "in de; it should be a data set in the hub's layout (data/README.md)"
    )
