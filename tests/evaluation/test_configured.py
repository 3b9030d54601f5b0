"""Benchmarks of the configuration: the harness's own numbers on tasks of one's own, and what is refused beforehand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import lm_eval
import pytest
from lm_eval.tasks import TaskManager
from tests.helpers.harness import language_model, model_folder, stock_model

from polyprune.errors import UserError
from polyprune.evaluation.results import evaluate_column, require_asked
from polyprune.evaluation.tasks import Prompting
from polyprune.grammar.benchmarks import Benchmark
from polyprune.grammar.columns import Asked
from polyprune.places import VARIABLE
from polyprune.settings.benchmarks import ConfiguredBenchmark

N = 10
COMMON = """
dataset_path: me/tiny
test_split: test
training_split: null
fewshot_split: examples
doc_to_text: "{{question}}\\nAnswer:"
metadata: {version: 3}
"""
CHOICE = """
output_type: multiple_choice
doc_to_choice: "{{options}}"
doc_to_target: "{{answer}}"
num_fewshot: 2
metric_list: [{metric: acc}, {metric: acc_norm}]
"""
WRITTEN = """
output_type: generate_until
doc_to_target: "{{options[answer]}}"
num_fewshot: 0
generation_kwargs: {until: ["\\n"], do_sample: false, max_gen_toks: 6}
filter_list:
  - {name: whole, filter: [{function: take_first}]}
  - {name: letter, filter: [{function: regex, regex_pattern: "([a-z])"}, {function: take_first}]}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
"""
ASKED: dict[str, Any] = {"title": "Mine", "chance": 0.333, "questions": N}
ZERO_SHOT = Prompting("current", "", 1, 0)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, data in the hub's layout, and tasks: two that are chosen, grouped, and one that is written."""
    home = tmp_path_factory.mktemp("home")
    model_folder(home / "model", "llama")
    data, tasks = home / "data" / "me" / "tiny", home / "tasks"
    data.mkdir(parents=True)
    tasks.mkdir()
    options = ["a", "the old bridge", "yes", "in the year 1990", "b"]
    rows = [
        {"question": f"What is {i * i}?", "options": [options[(i + j) % 5] for j in range(3)], "answer": i % 3}
        for i in range(N + 4)
    ]
    for split, part in (("test", rows[:N]), ("examples", rows[N:])):
        (data / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    files = "".join(f"  - {{split: {name}, path: {name}.jsonl}}\n" for name in ("test", "examples"))
    (data / "README.md").write_text(f"---\nconfigs:\n- config_name: default\n  data_files:\n{files}---\n")
    (tasks / "_common_yaml").write_text(COMMON)
    (tasks / "mine_de.yaml").write_text(f"include: _common_yaml\ntask: mine_de\n{CHOICE}")
    (tasks / "mine_zh.yaml").write_text("include: mine_de.yaml\ntask: mine_zh\ndescription: 'Choose. '\n")
    (tasks / "both.yaml").write_text("group: both\ntask: [mine_de, mine_zh]\n")
    (tasks / "written.yaml").write_text(f"include: _common_yaml\ntask: written\n{WRITTEN}")
    return home


@pytest.fixture(autouse=True)
def places(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, json.dumps({"tasks/mine": str(home / "tasks")}))


def made(home: Path, tasks: dict[str, str], **said: Any) -> tuple[Benchmark, Asked]:
    entry = ConfiguredBenchmark.model_validate(ASKED | {"tasks": tasks, "folder": str(home / "tasks")} | said)
    benchmark = entry.made("mine")
    assert benchmark.asked is not None
    return benchmark, benchmark.asked


def harness_alone(home: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> dict[str, Any]:
    """The harness as its users call it, from a folder where the data lie."""
    monkeypatch.chdir(home / "data")
    stock = stock_model(home / "model", batch_size=3)
    manager = TaskManager(include_path=str(home / "tasks"), include_defaults=False)
    alone: Any = lm_eval.simple_evaluate
    return alone(stock, tasks=[name], task_manager=manager, apply_chat_template=True)


@pytest.mark.parametrize(
    ("task", "metric"), [("mine_de", "acc"), ("mine_zh", "acc_norm"), ("written", "exact_match,letter")]
)
def test_numbers_are_those_of_the_harness_alone(
    task: str, metric: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmark, asked = made(home, {"zh_hant": task}, metric=metric, chance=0 if task == "written" else 0.333)
    (column,) = benchmark.hub
    prompting = replace(ZERO_SHOT, fewshot=asked.fewshot)
    require_asked(column, home / "data", tmp_path, prompting, asked)
    lm = language_model(home / "model")
    (row,), items = evaluate_column(lm, "mine", column, home / "data", tmp_path, prompting, asked)
    theirs = harness_alone(home, monkeypatch, task)
    name, _, chosen = metric.partition(",")
    key = f"{name},{chosen or 'none'}"
    assert (row["value"], row["stderr"]) == (
        theirs["results"][task][key],
        theirs["results"][task][key.replace(",", "_stderr,")],
    )
    assert row["n"] == len(items) == N and row["headline"] and row["task_version"] == "3"
    samples = [each for each in theirs["samples"][task] if each["filter"] == (chosen or "none")]
    assert [item["correct"] for item in items] == [each[name] == 1 for each in samples]
    assert {item["eval_language"] for item in items} == {"zh_hant"}
    if task != "written":
        for item, sample in zip(items, samples, strict=True):
            wanted = [value for value, _ in sample["filtered_resps"]]
            assert item["log_likelihoods"] == pytest.approx(wanted, abs=1e-4)


def test_a_group_is_pooled_in_its_order(home: Path, tmp_path: Path) -> None:
    benchmark, asked = made(home, {"de": "both"}, questions=2 * N)
    (column,) = benchmark.hub
    assert (column.task, column.dataset) == ("both", "me/tiny") and not benchmark.generates
    require_asked(column, home / "data", tmp_path, ZERO_SHOT, asked)
    rows, items = evaluate_column(
        language_model(home / "model"), "mine", column, home / "data", tmp_path, ZERO_SHOT, asked
    )
    assert [(row["task"], row["headline"], row["n"]) for row in rows] == [
        ("both", True, 2 * N),
        ("mine_de", False, N),
        ("mine_zh", False, N),
    ]
    assert rows[0]["value"] == pytest.approx((rows[1]["value"] + rows[2]["value"]) / 2)
    assert rows[0]["value"] == pytest.approx(sum(item["correct"] for item in items) / (2 * N))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"questions": {"de": 9}}, "mine_de has 10 questions in .* says 9"),
        ({"chance": 0.25}, "right in 0.333 of the questions, and `chance` says 0.250"),
    ],
)
def test_other_questions_than_the_configuration_says_are_refused(
    said: dict[str, Any], message: str, home: Path, tmp_path: Path
) -> None:
    benchmark, asked = made(home, {"de": "mine_de"}, **said)
    with pytest.raises(UserError, match=message):
        require_asked(benchmark.hub[0], home / "data", tmp_path, ZERO_SHOT, asked)


def test_files_of_tasks_that_were_edited_after_the_plan_are_refused(home: Path, tmp_path: Path) -> None:
    """Before the first question and, of a later language, before its own."""
    benchmark, asked = made(home, {"de": "mine_de"})
    planned = replace(asked, folder="0" * 16)
    said = f"the tasks in {home / 'tasks'} have digest {asked.folder}, this job was planned with {planned.folder}"
    with pytest.raises(UserError, match=said):
        require_asked(benchmark.hub[0], home / "data", tmp_path, ZERO_SHOT, planned)
    with pytest.raises(UserError, match=said):
        lm = language_model(home / "model")
        evaluate_column(lm, "mine", benchmark.hub[0], home / "data", tmp_path, ZERO_SHOT, planned)


def test_a_metric_that_the_task_has_not_is_refused(home: Path, tmp_path: Path) -> None:
    benchmark, asked = made(home, {"de": "mine_de"}, metric="f1")
    with pytest.raises(UserError, match="has no metric f1, only acc, acc_norm: correct `metric`"):
        lm = language_model(home / "model")
        evaluate_column(lm, "mine", benchmark.hub[0], home / "data", tmp_path, ZERO_SHOT, asked)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"tasks": {"de": "mine_den"}}, "has no task mine_den; did you mean mine_de?"),
        ({"tasks": {"de": "mine" * 100}}, f"has no task {'mine' * 100}"),
        ({"tasks": "mine_de", "languages": ["de"]}, "one name with {language} beside `languages`"),
        ({"tasks": "mine_{language}"}, "one name with {language} beside `languages`"),
        ({"tasks": {"de": "mine_de"}, "questions": {"zh": 3}}, "`questions` counts zh, and `tasks` has it not"),
        ({"tasks": {"de": "wikitext"}, "folder": None}, "of the kind loglikelihood_rolling; asked are multiple_choice"),
    ],
)
def test_tasks_that_are_not_there_are_refused_at_once(said: dict[str, Any], message: str, home: Path) -> None:
    with pytest.raises(ValueError, match=message.replace("?", r"\?").replace("{", r"\{")):
        ConfiguredBenchmark.model_validate(ASKED | {"folder": str(home / "tasks")} | said)


def test_other_content_of_the_users_tasks_is_another_benchmark(home: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for file in (home / "tasks").iterdir():
            (tmp_path / name / file.name).write_text(file.read_text())
    first, moved = (made(tmp_path / "..", {"de": "mine_de"}, folder=str(tmp_path / name))[1] for name in ("a", "b"))
    assert first == moved
    (tmp_path / "b" / "_common_yaml").write_text(COMMON.replace("Answer", "Reply"))
    assert made(home, {"de": "mine_de"}, folder=str(tmp_path / "b"))[1].folder != first.folder
