"""A variant on a benchmark, files in and files out."""

from __future__ import annotations

import json
import logging
import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from lm_eval.api.metrics import pooled_sample_stderr
from safetensors.torch import load_file
from tests.helpers.checkout import ROOT
from tests.helpers.engine import linears_of
from tests.helpers.harness import model_folder
from tests.helpers.prompting import prompting_of

from polyprune.artifacts.benchmark_data import load_manifest
from polyprune.artifacts.cells import join_layers, save_layer
from polyprune.artifacts.evaluations import ITEMS, SCORES, SCORES_SCHEMA
from polyprune.artifacts.identity import MODEL
from polyprune.artifacts.json_files import save_record
from polyprune.artifacts.tables import read_header, require_same_sources
from polyprune.artifacts.weights import SparseWeight
from polyprune.errors import UserError
from polyprune.evaluation.language_model import SharedPrefixLM
from polyprune.evaluation.tasks import HARNESS_TASKS
from polyprune.grammar.benchmarks import columns, datasets
from polyprune.model.checkpoint import Checkpoint
from polyprune.model.decoder import Decoder
from polyprune.model.source import read_manifest, write_manifest
from polyprune.settings.engine import Engine
from polyprune.settings.scores import Mkqa
from polyprune.stages import evaluate_model as stage
from polyprune.stages.generate_benchmark import generate_benchmark
from polyprune.stages.register_benchmark import register_benchmark

N = 6
FILE_OF_README = re.compile(r"^```\w+ (bench/\S+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
VARIANT = {"model": "tiny", "method": "dense", "scheme": "dense", "calibration": "dense", "seed": None}
CELL = {"model": "tiny", "method": "wanda", "scheme": "0.50", "calibration": "de", "seed": 1}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifests of a model, of generated benchmarks and a cell that removes half of each matrix."""
    home = tmp_path_factory.mktemp("home")
    folder = model_folder(home / "checkpoint", "llama")
    write_manifest(home / "model.json", {"kind": "train"}, folder, {})
    prompting_of(home / "model.json")
    for benchmark in ("arc", "mkqa"):
        generate_benchmark(benchmark, N, home / f"{benchmark}.json", {"benchmark": benchmark})
    decoder = Decoder(Checkpoint(folder), torch.device("cpu"))
    metadata = {"model_digest": read_manifest(home / "model.json")["digest"], "calibration_digest": "0" * 16}
    metadata |= {name: value for name, value in CELL.items() if name != "model"}
    for index, layer in decoder.walk():
        kept = {
            f"{decoder.prefix}.{index}.{name}": SparseWeight.of(
                linear.weight,
                torch.rand(linear.weight.shape, generator=torch.Generator().manual_seed(index)) < 0.5,
                False,
            )
            for name, linear in linears_of(layer).items()
        }
        save_layer(home / "parts", index, kept, metadata)
    join_layers(home / "parts", decoder.n_layers, home / "mask.safetensors", metadata)
    return home


def run(
    home: Path, out: Path, benchmark: str = "arc", **changes: Any
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    arguments: dict[str, Any] = {
        "model": home / "model.json",
        "prompting": home / "prompting.json",
        "cell": [],
        "data": home / f"{benchmark}.json",
        "benchmark": benchmark,
        "columns": columns(benchmark, "demo", ["en", "zh"]),
        "profile": "cloze",
        "mkqa": Mkqa(max_new_tokens=4) if benchmark == "mkqa" else None,
        "generation": "own" if benchmark == "mkqa" else None,
        "variant": VARIANT,
        "scores": out / "arc.parquet",
        "items": out / "items" / "arc.parquet",
        "device": torch.device("cpu"),
        "engine": Engine(),
        "asked": None,
        "provenance": {"code": "1"},
        **changes,
    }
    stage.evaluate_model(**arguments)
    return tuple(pq.ParquetFile(arguments[name]).read().to_pylist() for name in ("scores", "items"))  # type: ignore[return-value]


def test_scores_and_items_agree_and_say_what_they_are(home: Path, tmp_path: Path) -> None:
    scores, items = run(home, tmp_path)
    assert pq.read_schema(tmp_path / "arc.parquet").remove_metadata() == SCORES
    assert pq.read_schema(tmp_path / "items" / "arc.parquet").remove_metadata() == ITEMS
    assert [(row["eval_language"], row["metric"]) for row in scores] == [
        (column, metric) for column in ("en-e", "en-c", "zh") for metric in ("acc", "acc_norm")
    ]
    assert len(items) == 3 * N
    revisions = load_manifest(home / "arc.json").revisions
    for row in scores:
        of_column = [item for item in items if item["eval_language"] == row["eval_language"]]
        assert row["n"] == len(of_column) == N
        assert row["headline"] == (row["metric"] == "acc")
        assert (
            row["data_revision"]
            == revisions["alexandrainst/m_arc" if row["eval_language"] == "zh" else "allenai/ai2_arc"]
        )
        assert (row["benchmark"], row["profile"], row["harness"], row["dtype"]) == ("arc", "cloze", "0.4.13", "float32")
        assert len(row["chat_template"]) == 16
        if row["metric"] == "acc":
            correct = [item["correct"] for item in of_column]
            assert row["value"] == pytest.approx(sum(correct) / N)
            spread = (sum((float(hit) - row["value"]) ** 2 for hit in correct) / (N - 1)) ** 0.5
            assert row["stderr"] == pytest.approx(spread / N**0.5)
    for item in items:
        values = item["log_likelihoods"]
        assert item["prediction"] == max(range(4), key=values.__getitem__)
        assert item["correct"] == (item["prediction"] == item["gold"])
        assert all(length > 0 for length in item["lengths"])
    provenance = json.loads(pq.read_schema(tmp_path / "arc.parquet").metadata[b"polyprune"])
    assert provenance["lm_eval"] == "0.4.13" and provenance["cell"] is None


def test_a_cell_changes_the_answers_and_equal_runs_are_equal_bytes(home: Path, tmp_path: Path) -> None:
    _, dense = run(home, tmp_path / "dense")
    scores, pruned = run(home, tmp_path / "a", cell=[home / "mask.safetensors"], variant=CELL)
    run(home, tmp_path / "b", cell=[home / "mask.safetensors"], variant=CELL)
    assert {(row["method"], row["seed"]) for row in scores} == {("wanda", 1)}
    assert all(
        one["log_likelihoods"] != other["log_likelihoods"] and one["doc_hash"] == other["doc_hash"]
        for one, other in zip(dense, pruned, strict=True)
    )
    for name in ("arc.parquet", "items/arc.parquet"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_mkqa_keeps_the_answers_in_words(home: Path, tmp_path: Path) -> None:
    scores, items = run(home, tmp_path, "mkqa")
    assert [row["metric"] for row in scores] == ["f1", "f1_ws", "em"] * 2
    assert [row["metric"] for row in scores if row["headline"]] == ["f1"] * 2
    assert all(item["answer"] is not None and item["gold"] is None for item in items)
    scores, _ = run(home, tmp_path / "paper", "mkqa", profile="paper")
    assert [row["metric"] for row in scores if row["headline"]] == ["f1_ws"] * 2


class KilledError(Exception):
    pass


def test_a_killed_evaluation_goes_on_after_its_finished_languages(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run(home, tmp_path / "whole")
    asked: list[int] = []
    score = SharedPrefixLM.loglikelihood
    deadly = 2

    def loglikelihood(self: SharedPrefixLM, requests: Any, **options: Any) -> Any:
        asked.append(len(requests))
        if len(asked) == deadly:
            raise KilledError
        return score(self, requests, **options)

    monkeypatch.setattr(SharedPrefixLM, "loglikelihood", loglikelihood)
    with pytest.raises(KilledError):
        run(home, tmp_path / "killed")
    assert not (tmp_path / "killed" / "arc.parquet").exists()
    monkeypatch.setattr(logging.getLogger("polyprune"), "propagate", True)
    with caplog.at_level("INFO"):
        run(home, tmp_path / "killed")
    assert "1 of 3 languages are finished from before" in caplog.text
    assert len(asked) == 4
    for name in ("arc.parquet", "items/arc.parquet"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not (tmp_path / "killed" / "arc.parquet.parts").exists()


def test_parts_of_another_job_are_not_taken_over(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(stage, "join_parts", lambda *_: None)
        stage_run = {"provenance": {"code": "1"}}
        arguments: dict[str, Any] = {"columns": columns("arc", "demo", ["zh"]), **stage_run}
        with pytest.raises(FileNotFoundError):
            run(home, tmp_path, **arguments)
    asked = []
    monkeypatch.setattr(stage, "evaluate_column", lambda *_: asked.append(1) or pytest.skip("recomputed"))
    before = pq.read_table(tmp_path / "arc.parquet.parts" / "zh.scores.parquet")
    assert before.num_rows == 2
    with pytest.raises(pytest.skip.Exception):
        run(home, tmp_path, columns=columns("arc", "demo", ["zh"]), provenance={"code": "2"})
    assert asked == [1]


def test_a_cell_of_another_model_is_refused(home: Path, tmp_path: Path) -> None:
    manifest = read_manifest(home / "model.json") | {"digest": "0" * 16}
    (tmp_path / "checkpoint").symlink_to(home / "checkpoint")
    save_record(tmp_path / "model.json", MODEL, manifest)
    prompting_of(tmp_path / "model.json")
    with pytest.raises(UserError, match=r"has model_digest [0-9a-f]{16}, expected 0{16}"):
        model: Any = {"model": tmp_path / "model.json", "prompting": tmp_path / "prompting.json"}
        run(home, tmp_path, **model, cell=[home / "mask.safetensors"], variant=CELL)


def test_rows_asked_otherwise_are_not_of_one_table(home: Path, tmp_path: Path) -> None:
    """Though the template is the same: another end of answers."""
    model = shutil.copytree(home, tmp_path / "model") / "model.json"
    (model.parent / "checkpoint/generation_config.json").write_text('{"eos_token_id": [0, 1]}')
    with pytest.raises(UserError, match=r"registered: generation_config\.json has .*makes prompts, evaluations"):
        run(home, tmp_path / "a", model=model)
    run(home, tmp_path / "a")
    run(home, tmp_path / "b", model=model, prompting=prompting_of(model))
    headers = {tmp_path / name: read_header(tmp_path / name / "arc.parquet", SCORES_SCHEMA) for name in ("a", "b")}
    assert {each["sources"]["version of the harness"] for each in headers.values()} == {"0.4.13"}
    with pytest.raises(UserError, match=r"made from different things \(templates and ends of answers: "):
        require_same_sources(headers)


def test_vllm_is_refused_where_it_is_not_installed(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(UserError, match=r"evaluation\.generation is vllm .* not installed here"):
        run(home, tmp_path, "mkqa", generation="vllm")


def test_vllm_generates_from_a_folder_of_the_compressed_weights(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for vLLM that says the number of tokens it was asked with, and then what must be cut off."""
    tensors: list[dict[str, torch.Tensor]] = []

    class LLM:
        def __init__(self, model: str, **_: Any) -> None:
            tensors.append(load_file(Path(model) / "model.safetensors"))

        def generate(self, prompts: list[dict[str, list[int]]], sampling: Any) -> list[Any]:
            assert sampling.temperature == 0.0 and sampling.max_tokens == 4 and "\n" in sampling.stop
            texts = [f"{len(prompt['prompt_token_ids'])}\nmore" for prompt in prompts]
            return [SimpleNamespace(outputs=[SimpleNamespace(text=text)]) for text in texts]

    vllm = SimpleNamespace(LLM=LLM, SamplingParams=lambda **options: SimpleNamespace(**options))
    monkeypatch.setitem(sys.modules, "vllm", vllm)
    scores, items = run(home, tmp_path, "mkqa", cell=[home / "mask.safetensors"], variant=CELL, generation="vllm")
    assert {row["backend"] for row in scores} == {"vllm"}
    assert all(int(item["answer"]) > 5 for item in items) and len({item["answer"] for item in items}) > 1
    weight = tensors[0]["model.layers.0.mlp.up_proj.weight"]
    assert 0.4 < (weight == 0).float().mean() < 0.6


def write_english_mmlu(folder: Path) -> None:
    """Two questions in each of the 57 subjects, one in the first."""
    subjects = sorted(
        file.stem.removeprefix("mmlu_") for file in (HARNESS_TASKS / "mmlu" / "default").glob("mmlu_*.yaml")
    )
    target = folder / "cais" / "mmlu"
    target.mkdir(parents=True)
    configs = []
    for number, subject in enumerate(subjects):
        rows = [
            {"question": f"{subject} {i}?", "choices": ["one", "two", "three", "four"], "answer": (number + i) % 4}
            for i in range(1 if number == 0 else 2)
        ]
        for split in ("dev", "test"):
            (target / f"{subject}-{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        files = [{"split": split, "path": f"{subject}-{split}.jsonl"} for split in ("dev", "test")]
        configs.append({"config_name": subject, "data_files": files})
    (target / "README.md").write_text(f"---\n{json.dumps({'configs': configs})}\n---\n")


def test_english_mmlu_pools_its_subjects(home: Path, tmp_path: Path) -> None:
    write_english_mmlu(tmp_path / "hub")
    (tmp_path / "hub" / "alexandrainst" / "m_mmlu").mkdir(parents=True)
    (tmp_path / "hub" / "alexandrainst" / "m_mmlu" / "README.md").write_text("empty")
    register_benchmark(datasets("mmlu", "hub"), str(tmp_path / "hub"), tmp_path / "mmlu.json", {})
    scores, items = run(
        home, tmp_path, "mmlu", data=tmp_path / "mmlu.json", columns=columns("mmlu", "hub", ["en"]), profile="paper"
    )
    (pooled,) = [row for row in scores if row["headline"]]
    subjects = [row for row in scores if not row["headline"]]
    assert len(subjects) == 57 and pooled["task"] == "mmlu"
    assert pooled["n"] == len(items) == 113
    assert pooled["value"] == pytest.approx(sum(item["correct"] for item in items) / 113)
    defined = [row for row in subjects if row["n"] > 1]
    assert len(defined) == 56
    assert pooled["stderr"] == pytest.approx(
        pooled_sample_stderr([row["stderr"] for row in subjects], [row["n"] for row in subjects]), nan_ok=True
    )


def test_the_documented_folder_is_enough_for_a_german_study(home: Path, tmp_path: Path) -> None:
    """Two questions of four options in German ARC, and no English data set; what needs that is refused by its name."""
    for name, content in FILE_OF_README.findall((ROOT / "data/README.md").read_text(encoding="utf-8")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    register_benchmark(datasets("arc", "hub"), str(tmp_path / "bench"), tmp_path / "arc.json", {})
    asked: dict[str, Any] = {"data": tmp_path / "arc.json", "profile": "current"}
    scores, items = run(home, tmp_path, **asked, columns=columns("arc", "hub", ["de"]))
    assert {(row["task"], row["n"]) for row in scores} == {("arc_de", 2)}
    assert [item["gold"] for item in items] == [0, 2] and [len(item["log_likelihoods"]) for item in items] == [4, 4]
    with pytest.raises(UserError, match=r"bench has no allenai/ai2_arc: put it there"):
        run(home, tmp_path, **asked, columns=columns("arc", "hub", ["de", "en"]))
