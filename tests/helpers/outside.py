"""The user's own files that a configuration names: enough of each to plan with, and nothing to run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

from polyprune.grammar.benchmarks import BENCHMARKS, datasets
from polyprune.places import export_places
from polyprune.settings.load import load_settings
from polyprune.workflow.outside import Outside, places_of

OF_ADDED = "facebook/xnli"
"""The data set of the benchmark that `everything.yaml` adds."""


def put_outside_things(config: Mapping[str, Any], folder: Path = Path()) -> None:
    """Below `folder`: text, prompts, model folders of the shape that is said, and all data sets of benchmarks."""
    for section, line in (("corpora", "text\n"), ("prompts", "{}\n")):
        for entry in config.get(section, {}).values():
            for files in entry["files"].values() if entry["kind"] == "files" else ():
                for file in [files] if isinstance(files, str) else files:
                    put(folder / file, line * 2000)
    for model in config.get("models", {}).values():
        if model["source"]["kind"] == "folder":
            put_model(folder / model["source"]["path"], model["shape"])
        elif model["source"].get("path"):
            put(folder / model["source"]["path"], "a model in another format")
    for imports in config.get("imports", {}).values():
        for cell in imports["cells"]:
            if cell["source"]["kind"] == "folder":
                put(folder / cell["source"]["path"] / "model.safetensors", "weights")
    if data_root := config.get("evaluation", {}).get("data_root"):
        built_in = {name for benchmark in BENCHMARKS for name in datasets(benchmark, "hub")}
        for name in built_in | ({OF_ADDED} if config.get("benchmarks") else set()):
            put(folder / data_root / name / "test.jsonl", "{}\n")


def put_model(folder: Path, shape: Mapping[str, int]) -> None:
    """A model folder whose config.json says this shape; its other files are none."""
    names = {
        "layers": "num_hidden_layers",
        "hidden": "hidden_size",
        "intermediate": "intermediate_size",
        "heads": "num_attention_heads",
        "kv_heads": "num_key_value_heads",
        "vocabulary": "vocab_size",
        "max_positions": "max_position_embeddings",
    }
    put(folder / "config.json", json.dumps({theirs: shape[ours] for ours, theirs in names.items()}))
    put(folder / "tokenizer.json", "{}")
    put(folder / "model.safetensors", "weights")


def put(file: Path, text: str) -> Path:
    """Write a file, and the folders that lead to it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def look_outside(kind: str, wildcards: dict[str, str], config: str, main: bool = True) -> tuple[set[str], list[str]]:
    """Files that `Outside` forces under the configuration, which is written to own.yaml, and what it says; asked twice,
    it says things once.
    """
    put(Path("own.yaml"), config)
    settings = load_settings(yaml.safe_load(config), [Path("own.yaml")])
    export_places(places_of(settings))
    workflow = SimpleNamespace(is_main_process=main, dag=SimpleNamespace(forcefiles=set()))
    said: list[str] = []
    outside = Outside(settings, [Path("own.yaml")], workflow, said.append)
    for _ in range(2):
        assert getattr(outside, kind)(wildcards) == []
    outside.refusals.require_none()
    return workflow.dag.forcefiles, said
