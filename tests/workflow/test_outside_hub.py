"""What was fetched from the hub is of the commits that the lock file names, or it is fetched again."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from tests.helpers.checkout import ROOT
from tests.helpers.hub import LATER, NOW, hub_prompts, web_corpus
from tests.helpers.outside import look_outside, put, put_model

from polyprune.artifacts.benchmark_data import save_manifest
from polyprune.artifacts.prompts import Prompt, save_prompts
from polyprune.corpora.collected import save_collected
from polyprune.model.foreign.files import write_checkpoint_manifest
from polyprune.model.source import write_manifest

CELL = "mine/wanda@theirs/0.50/de/seed0"
SHAPE = {"layers": 2, "hidden": 8, "intermediate": 8, "heads": 2, "kv_heads": 2, "vocabulary": 16, "max_positions": 64}
TEXT = {"corpus": "web", "sequence_length": 4, "calibration_sequences": 2, "evaluation_sequences": 2,
        "sampling": "packed"}  # fmt: skip
IMPORTED = {"model": "mine", "method": "wanda", "scheme": "0.50", "calibration": "de", "seed": 0}
SOURCES = {
    "mine": {"kind": "hub", "id": "org/name"},
    "packed": {"kind": "gguf", "id": "org/packed", "file": "small.gguf"},
}
CONFIG = yaml.safe_dump(
    {
        "corpora": {"web": web_corpus().model_dump(mode="json", exclude={"revision"})},
        "prompts": {"asked": hub_prompts().model_dump(mode="json", exclude={"revision"})},
        "models": {
            name: {"title": name, "source": source, "shape": SHAPE, "text": TEXT} for name, source in SOURCES.items()
        },
        "imports": {"theirs": {"cells": [IMPORTED | {"source": {"kind": "hub", "id": "org/pruned"}}]}},
        "studies": {},
    }
)
FETCHED = {
    "a model": ("model", {"model": "mine"}, "results/mine/model.json", "models", "org/name"),
    "a file of a model": ("model", {"model": "packed"}, "results/packed/model.json", "models", "org/packed"),
    "a checkpoint": (
        "checkpoint",
        {"model": "mine", "method": "wanda@theirs", "scheme": "0.50", "calibration": "de", "seed": "0"},
        f"results/{CELL}/checkpoint.json",
        "models",
        "org/pruned",
    ),
    "text": (
        "documents",
        {"corpus": "web", "language": "de"},
        "results/corpora/web/de.parquet",
        "datasets",
        "org/web",
    ),
    "prompts": (
        "prompts",
        {"prompts": "asked", "language": "de"},
        "results/prompts/asked/de.parquet",
        "datasets",
        "org/questions",
    ),
    "a benchmark": (
        "benchmark",
        {"benchmark": "belebele"},
        "results/benchmarks/hub/belebele.json",
        "datasets",
        "facebook/belebele",
    ),
}


def lock(**sections: dict[str, str]) -> None:
    Path("revisions.lock").write_text(json.dumps(sections))


@pytest.fixture(autouse=True)
def fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it, at one commit; models lie in the hub's cache, or were written out beside their manifests."""
    monkeypatch.chdir(tmp_path)
    for name in ("cached", "results/packed/checkpoint"):
        put_model(Path(name), SHAPE)
    for place in ("polyprune.model.source.cached_model", "polyprune.model.foreign.files.cached_checkpoint"):
        monkeypatch.setattr(place, lambda *_: tmp_path / "cached")
    at = {"revision": NOW}
    write_manifest(Path("results/mine/model.json"), SOURCES["mine"] | at, Path("cached"), {})
    write_manifest(Path("results/packed/model.json"), SOURCES["packed"] | at, Path("results/packed/checkpoint"), {})
    pruned = {"kind": "hub", "id": "org/pruned", "pickles": False, **at}
    write_checkpoint_manifest(Path(f"results/{CELL}/checkpoint.json"), pruned, Path("cached"), {})
    splits = {"calibration": ["eins", "zwei"], "evaluation": ["drei"]}
    save_collected("de", splits, {"dataset": "org/web", **at}, Path("results/corpora/web/de.parquet"), {})
    save_prompts(Path("results/prompts/asked/de.parquet"), [Prompt("1", "?")], {"dataset": "org/questions", **at})
    put(Path("results/benchmarks/hub/belebele/facebook/belebele/test.jsonl"), "{}")
    save_manifest(Path("results/benchmarks/hub/belebele.json"), "belebele", {"facebook/belebele": NOW}, {})


@pytest.mark.parametrize("name", FETCHED)
def test_what_was_fetched_at_another_commit_is_fetched_again(name: str) -> None:
    kind, wildcards, output, section, repository = FETCHED[name]
    for commits in ({}, {repository: NOW}, {"org/other": LATER}):
        lock(**{section: commits})
        assert look_outside(kind, wildcards, CONFIG) == (set(), [])
    lock(**{section: {repository: LATER}})
    assert look_outside(kind, wildcards, CONFIG) == (
        {output},
        [
            f"{output} is made again, with all that depends on it: revisions.lock says {LATER} of {section[:-1]} "
            f"{repository}, fetched was {NOW}"
        ],
    )
    Path(output).unlink()
    assert look_outside(kind, wildcards, CONFIG) == (set(), [])


def test_text_that_is_damaged_is_left_to_the_jobs_that_read_it() -> None:
    lock(datasets={"org/web": LATER})
    kind, wildcards, output, *_ = FETCHED["text"]
    Path(output).write_bytes(b"PAR1 and nothing else")
    assert look_outside(kind, wildcards, CONFIG) == (set(), [])


@pytest.mark.parametrize("text", ["<<<<<<< HEAD\n{}", '["models"]', '{"models": ["org/name"]}'])
def test_a_lock_file_that_is_none_is_refused(text: str) -> None:
    Path("revisions.lock").write_text(text)
    kind, wildcards, *_ = FETCHED["a model"]
    with pytest.raises(SystemExit, match=r"^error: revisions\.lock .*: restore it, as from git$"):
        look_outside(kind, wildcards, CONFIG)


@pytest.mark.parametrize("rule", ["fetch_model", "fetch_documents", "fetch_prompts", "fetch_benchmark"])
def test_rules_that_fetch_have_the_lock_file_looked_at(rule: str) -> None:
    rules = "".join(file.read_text(encoding="utf-8") for file in sorted((ROOT / "rules").glob("*.smk")))
    assert re.search(rf"^rule {rule}:\n    input:\n        outside\.", rules, re.MULTILINE)
