"""What lies outside of results/ is looked at when a run is planned: refused, made again, or left alone."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.helpers.outside import look_outside, put, put_model
from tests.helpers.prompting import prompting_of

from polyprune.artifacts.benchmark_data import save_manifest
from polyprune.grammar.benchmarks import datasets
from polyprune.model.foreign.files import write_checkpoint_manifest
from polyprune.model.source import write_manifest
from polyprune.places import reference
from polyprune.settings.load import load_settings
from polyprune.settings.text import FilesCorpus, FilesPrompts
from polyprune.stages.collect_documents import collect_documents
from polyprune.stages.collect_prompts import collect_prompts

CONFIG = """\
corpora:
  own:
    kind: files
    files: {de: "text/de*.txt"}
    shares: {calibration: 0.5, evaluation: 0.5}
prompts:
  asked: {kind: files, files: {de: asked.jsonl}, n_prompts: 2}
models:
  mine:
    title: Mine
    source: {kind: folder, path: models/mine}
    shape: {layers: 2, hidden: 8, intermediate: 8, heads: 2, kv_heads: 2, vocabulary: 16, max_positions: 64}
    text: {corpus: own, sequence_length: 4, calibration_sequences: 2, evaluation_sequences: 2, sampling: packed}
  hubbed:
    title: Hubbed
    source: {kind: hub, id: org/hubbed}
    shape: {layers: 2, hidden: 8, intermediate: 8, heads: 2, kv_heads: 2, vocabulary: 16, max_positions: 64}
    text: {corpus: own, sequence_length: 4, calibration_sequences: 2, evaluation_sequences: 2, sampling: packed}
imports:
  tool:
    cells:
      - {model: mine, method: wanda, scheme: "0.50", calibration: de, seed: 3, source: {kind: folder, path: theirs}}
evaluation: {data_root: bench}
studies: {}
"""
THEIRS = {"model": "mine", "method": "wanda@tool", "scheme": "0.50", "calibration": "de", "seed": "3"}
MANIFEST = "results/mine/wanda@tool/0.50/de/seed3/checkpoint.json"
SHAPE = yaml.safe_load(CONFIG)["models"]["mine"]["shape"]
MINE = {"model": "mine"}
DE = {"corpus": "own", "language": "de"}
ASKED = {"prompts": "asked", "language": "de"}
ARC = {"benchmark": "arc"}
QUESTION = {"link": "a", "flores_passage": "p", "question": "q"}
LINES = [json.dumps(QUESTION | {"question_number": number}) for number in (1, 2)]


@pytest.fixture(autouse=True)
def outside_things(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder with everything that the configuration names."""
    monkeypatch.chdir(tmp_path)
    put_model(Path("models/mine"), SHAPE)
    put(Path("theirs/model.safetensors"), "weights")
    put(Path("theirs/config.json"), "{}")
    put(Path("text/de1.txt"), "eins\nzwei\n")
    put(Path("text/de2.txt"), "drei\nvier\n")
    put(Path("asked.jsonl"), "\n".join(LINES))
    for name in datasets("arc", "hub"):
        put(Path(f"bench/{name}/test.jsonl"), name)


def look(kind: str, wildcards: dict[str, str], config: str = CONFIG, main: bool = True) -> tuple[set[str], list[str]]:
    return look_outside(kind, wildcards, config, main)


def refusal(kind: str, wildcards: dict[str, str], config: str = CONFIG) -> str:
    with pytest.raises(SystemExit) as refused:
        look(kind, wildcards, config)
    head, problem = str(refused.value).split("\n  ")
    assert head == "error: 1 problem in the configuration"
    return problem


def register() -> None:
    """As the jobs do it."""
    look("model", {"model": "mine"})
    source = {"kind": "folder", "path": reference("models", "mine")}
    write_manifest(Path("results/mine/model.json"), source, Path("models/mine"), {})
    prompting_of(Path("results/mine/model.json"))
    place = {"kind": "folder", "path": reference("imports", *MANIFEST.split("/")[1:-1]), "pickles": False}
    write_checkpoint_manifest(Path(MANIFEST), place, Path("theirs"), {})
    corpus = load_settings(yaml.safe_load(CONFIG)).corpora["own"]
    assert isinstance(corpus, FilesCorpus)
    collect_documents(corpus, "de", Path("results/corpora/own/de.parquet"), {})
    prompts = FilesPrompts(kind="files", files={"de": "asked.jsonl"}, n_prompts=2)
    collect_prompts(prompts, "de", Path("results/prompts/asked/de.parquet"), {})
    data = dict.fromkeys(datasets("arc", "hub"), "x")
    save_manifest(Path("results/benchmarks/hub/arc.json"), reference("benchmarks"), data, {})


ALL = {
    "model": ({"model": "mine"}, "results/mine/model.json"),
    "prompting": ({"model": "mine"}, "results/mine/prompting.json"),
    "documents": (DE, "results/corpora/own/de.parquet"),
    "prompts": (ASKED, "results/prompts/asked/de.parquet"),
    "checkpoint": (THEIRS, MANIFEST),
    "benchmark": (ARC, "results/benchmarks/hub/arc.json"),
}


def forced(config: str = CONFIG) -> dict[str, list[str]]:
    """By kind, what is said where something is made again."""
    found = {}
    for kind, (wildcards, output) in ALL.items():
        files, said = look(kind, wildcards, config)
        assert files == ({output} if said else set()) or (kind == "prompting" and files == {ALL["model"][1]})
        if output in files:
            assert said[0].startswith(f"{output} is made again, with all that depends on it: ")
            found[kind] = said
    return found


def test_what_is_not_registered_yet_or_unchanged_is_left_alone() -> None:
    assert forced() == {}
    register()
    assert forced() == {}
    for file in Path().rglob("*"):
        os.utime(file)
    assert forced() == {}


CHANGES: dict[str, tuple[Callable[[], Any], str, str]] = {
    "weights": (
        lambda: put(Path("models/mine/model.safetensors"), "WEIGHTS"),
        "model",
        "model.safetensors has SHA-256 ",
    ),
    "a token": (lambda: put(Path("models/mine/added_tokens.json"), "{}"), "model", "added_tokens.json is new"),
    "a template": (
        lambda: put(Path("models/mine/chat_template.jinja"), "x"),
        "prompting",
        "chat_template.jinja is new",
    ),
    "an end": (lambda: put(Path("models/mine/generation_config.json"), "{}"), "prompting", "_config.json is new"),
    "a checkpoint": (lambda: put(Path("theirs/model.safetensors"), "WEIGHTS"), "checkpoint", "safetensors has SHA-"),
    "a packing": (lambda: put(Path("theirs/quantize_config.json"), "{}"), "checkpoint", "quantize_config.json is new"),
    "a line of text": (
        lambda: put(Path("text/de2.txt"), "drei\nvier\nfünf\n"),
        "documents",
        "text/de2.txt has digest ",
    ),
    "a text more": (lambda: put(Path("text/de3.txt"), "drei\n"), "documents", "text/de3.txt has digest "),
    "a prompt": (
        lambda: put(Path("asked.jsonl"), "\n".join(LINES).replace('"p"', '"P"')),
        "prompts",
        "asked.jsonl has digest ",
    ),
    "an answer": (
        lambda: put(Path("bench/allenai/ai2_arc/test.jsonl"), "x"),
        "benchmark",
        "bench/allenai/ai2_arc has digest ",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_named_and_makes_its_registration_again_and_no_other(name: str) -> None:
    register()
    change, kind, words = CHANGES[name]
    change()
    found = forced()
    assert set(found) == {kind} and words in found[kind][0]
    assert "registered was" in found[kind][0] or found[kind][0].endswith(" is new")
    register()
    assert forced() == {}


def test_moved_things_are_the_same_things() -> None:
    register()
    before = {path: Path(path).read_bytes() for _, path in ALL.values()}
    config = CONFIG
    for old, new in (
        ("models/mine", "m"),
        ("text/", "t/"),
        ("theirs", "them"),
        ("asked.jsonl", "a.jsonl"),
        ("bench}", "b}"),
    ):
        Path(old.rstrip("}")).rename(new.rstrip("}"))
        assert config.count(old) == 1
        config = config.replace(old, new)
    assert forced(config) == {}
    assert {path: Path(path).read_bytes() for path in before} == before


def test_jobs_of_their_own_processes_look_at_nothing() -> None:
    """What they run was decided before; on a cluster's node it is not even there."""
    register()
    put(Path("models/mine/model.safetensors"), "WEIGHTS")
    assert look("model", {"model": "mine"}, main=False) == (set(), [])


@pytest.mark.parametrize(
    ("kind", "wildcards", "missing", "message"),
    [
        ("model", MINE, "models/mine", "own.yaml:11: models.mine.source.path: model folder {} does not exist"),
        (
            "documents",
            DE,
            "text",
            "own.yaml:4: corpora.own.files.de: corpus files for de: nothing matches 'text/de*.txt' (seen from {cwd}); "
            "correct the path",
        ),
        ("checkpoint", THEIRS, "theirs", "own.yaml:22: imports.tool.cells.0.source.path: checkpoint {} does not exist"),
        ("prompts", ASKED, "asked.jsonl", "own.yaml:7: prompts.asked.files.de: {} does not exist"),
        (
            "benchmark",
            ARC,
            "bench",
            "own.yaml:23: evaluation.data_root: {} has none of the data sets alexandrainst/m_arc, allenai/ai2_arc; it "
            "should have those of the study's languages, in the hub's layout (data/README.md)",
        ),
    ],
)
def test_what_is_missing_is_refused_with_its_line_or_said_where_results_are_there(
    kind: str, wildcards: dict[str, str], missing: str, message: str, tmp_path: Path
) -> None:
    register()
    Path(missing).rename("elsewhere")
    files, said = look(kind, wildcards)
    output = ALL[kind][1]
    assert files == set() and len(said) == 1
    assert said[0].endswith(f"what is finished stays as {output} registered it, jobs that need more of it will fail")
    Path(output).unlink()
    assert refusal(kind, wildcards) == message.format(tmp_path / missing, cwd=tmp_path)


def test_a_shape_that_contradicts_config_json_is_refused_with_its_line() -> None:
    wrong = CONFIG.replace("{layers: 2, hidden: 8, intermediate: 8", "{layers: 3, hidden: 8, intermediate: 9", 1)
    assert refusal("model", {"model": "mine"}, wrong) == (
        "own.yaml:12: models.mine.shape: the shape differs from the model's config.json: set layers: 2, intermediate: 8"
    )


def test_half_a_model_is_refused_with_its_line() -> None:
    Path("models/mine/model.safetensors").unlink()
    assert refusal("model", {"model": "mine"}).endswith(
        "models/mine has neither model.safetensors nor model.safetensors.index.json"
    )


def test_too_little_text_is_refused_before_anything_is_tokenised() -> None:
    """Twenty bytes are never 41 tokens: a token is a byte at least, and one stands around a document."""
    enough, too_much = (
        CONFIG.replace(
            "sequence_length: 4, calibration_sequences: 2", f"sequence_length: {n}, calibration_sequences: 1"
        )
        for n in (20, 21)
    )
    assert look("documents", DE, enough) == (set(), [])
    cells = "models: [mine], methods: [wanda], schemes: ['0.50'], calibrations: [de+n11], seeds: [0]"
    study = f"{{grids: {{all: {{{cells}}}}}, tables: {{table1: {{title: T, report: drift, grids: [all]}}}}}}"
    more = CONFIG.replace("studies: {}", f"studies: {{more: {study}}}")
    assert "mine.text: 11 sequences of 4 tokens are wanted" in refusal("documents", DE, more)
    assert refusal("documents", DE, too_much) == (
        "own.yaml:13: models.mine.text: 2 sequences of 21 tokens are wanted, and all text in de is 20 bytes "
        "(text/de1.txt, text/de2.txt); bring more text, or ask for fewer or shorter ones"
    )


def test_too_few_prompts_are_refused() -> None:
    few = CONFIG.replace("n_prompts: 2", "n_prompts: 3")
    assert refusal("prompts", ASKED, few).startswith("own.yaml:7: prompts.asked.n_prompts: 3 prompts are wanted, ")


def test_a_model_in_the_hubs_cache_is_looked_at_where_it_is_cached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, cached = Path("results/hubbed/model.json"), [tmp_path / "models/mine"]
    monkeypatch.setattr("polyprune.model.source.cached_model", lambda *_: cached[0])
    write_manifest(manifest, {"kind": "hub", "id": "org/hubbed", "revision": "f" * 40}, cached[0], {})
    assert look("model", {"model": "hubbed"}) == (set(), [])
    prompting = prompting_of(manifest)
    put(Path("models/mine/chat_template.jinja"), "{}")
    files, said = look("prompting", {"model": "hubbed"})
    assert files == {str(prompting)} and "chat_template.jinja is new" in said[0]
    put(Path("models/mine/added_tokens.json"), "{}")
    assert look("prompting", {"model": "hubbed"})[0] == {str(manifest)}
    cached[0] = tmp_path / "nowhere"
    files, said = look("model", {"model": "hubbed"})
    assert files == set() and "what is finished stays as results/hubbed/model.json registered it" in said[0]


def test_a_trained_model_whose_checkpoint_was_changed_is_trained_again() -> None:
    trained = CONFIG.replace("{kind: hub, id: org/hubbed}", "{kind: train, architecture: llama, vocabulary: 16}")
    trained = trained.replace("{calibration: 0.5,", "{train: 0.1, calibration: 0.4,")
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        put(Path(f"results/hubbed/checkpoint/{name}"), Path(f"models/mine/{name}").read_text())
    manifest, weights = Path("results/hubbed/model.json"), Path("results/hubbed/checkpoint/model.safetensors")
    write_manifest(manifest, {"kind": "train"}, Path("results/hubbed/checkpoint"), {})
    assert look("model", {"model": "hubbed"}, trained) == (set(), [])
    put(weights, "WEIGHTS")
    assert look("model", {"model": "hubbed"}, trained)[0] == {str(manifest)}
    weights.unlink()
    assert look("model", {"model": "hubbed"}, trained)[0] == {str(manifest)}
