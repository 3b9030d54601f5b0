"""The catalogue against the installed harness, and the prompts of the three profiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from lm_eval.tasks._yaml_loader import load_yaml

from polyprune.corpora.demo.benchmarks import write_benchmark
from polyprune.errors import UserError
from polyprune.evaluation.mkqa import ASKED, FOLDER
from polyprune.evaluation.tasks import HARNESS_TASKS, Prompting, brisk_harness, build_tasks, options_of, task_config
from polyprune.grammar.benchmarks import BENCHMARKS, GENERATED, SOURCES, columns, datasets
from polyprune.grammar.columns import OWN_TASKS, Column
from polyprune.provenance import PACKAGE, import_closure
from polyprune.settings.scores import Mkqa

OPTIONS = ["option_a", "option_b", "option_c", "option_d"]
QUESTIONS = Dataset.from_list(
    [{"id": "1", "instruction": "3 + 4 =", **dict.fromkeys(OPTIONS, "7"), "option_e": None, "answer": "A"}]
)
LANGUAGES = ["ar", "de", "en", "es", "ru", "sw", "zh"]


def prompting(profile: str) -> Prompting:
    return Prompting(profile, "Q: {question}?\nA:", 32)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("benchmarks")
    for benchmark in GENERATED:
        write_benchmark(benchmark, folder, 6)
    return folder


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_catalogue_names_tasks_of_the_harness_and_their_data_sets(benchmark: str, source: str) -> None:
    for column in columns(benchmark, source):
        if column.yaml.startswith(OWN_TASKS):
            continue
        files = [file for file in HARNESS_TASKS.glob(column.yaml) if not file.name.startswith("_")]
        assert len(files) == (57 if column.task == "mmlu" else 1), column
        for file in files:
            config = load_yaml(file, resolve_func=False)
            assert config["dataset_path"] == column.dataset
            if column.part is None and column.task != "mmlu":
                assert config["task"] == column.task


def test_columns_are_those_of_the_papers_tables() -> None:
    okapi = ["ar", "de", "en", "es", "ru", "zh"]
    papers = {
        "arc": ["ar", "de", "en-e", "en-c", "es", "ru", "zh"],
        "belebele": LANGUAGES,
        "mmlu": okapi,
        "hellaswag": ["ar", "de", "en", "es", "ru"],
        "mkqa": okapi,
    }
    assert {name: [column.name for column in columns(name, "hub")] for name in papers} == papers
    assert datasets("arc", "hub") == ["alexandrainst/m_arc", "allenai/ai2_arc"]
    assert [column.name for column in columns("arc", "hub", ["de", "en"])] == ["de", "en-e", "en-c"]
    for benchmark in GENERATED:
        assert {column.language for column in columns(benchmark, "demo")} == set(LANGUAGES)


def only(benchmark: str, name: str) -> Column:
    (column,) = [column for column in columns(benchmark, "demo") if column.name == name]
    return column


def first_requests(benchmark: str, name: str, profile: str, data: Path, tmp_path: Path) -> tuple[Any, Any]:
    """Document and (prompt, option) pairs of a column's first question under a chat template."""
    column = only(benchmark, name)
    (task,) = build_tasks(column, data, tmp_path, prompting(profile)).values()
    with brisk_harness():
        task.build_all_requests(
            limit=1,
            apply_chat_template=True,
            chat_template=lambda messages, **_: "|".join(f"{one['role']}:{one['content']}" for one in messages) + "|",
        )
    return task.instances[0].doc, [instance.args for instance in task.instances]


def test_profiles_of_belebele(data: Path, tmp_path: Path) -> None:
    doc, current = first_requests("belebele", "de", "current", data, tmp_path)
    question = f"Q: {doc['question']}\nA: {doc['mc_answer1']}\n"
    assert question in current[0][0] and current[0][0].endswith("\nAnswer:|")
    assert [option for _, option in current] == ["A", "B", "C", "D"]
    _, paper = first_requests("belebele", "de", "paper", data, tmp_path)
    assert paper[0][0] == current[0][0].replace("\nAnswer:|", "\nAnswer：|")
    assert [option for _, option in paper] == [" A", " B", " C", " D"]
    _, cloze = first_requests("belebele", "de", "cloze", data, tmp_path)
    assert cloze[0][0] == f"user:Text: {doc['flores_passage']}\nFrage: {doc['question']}\nAntwort:|"
    assert [option for _, option in cloze] == [f" {doc[f'mc_answer{i}']}" for i in (1, 2, 3, 4)]


def test_profiles_of_arc(data: Path, tmp_path: Path) -> None:
    doc, current = first_requests("arc", "zh", "current", data, tmp_path)
    assert current == [(f"user:Question: {doc['instruction']}\nAnswer:|", option) for option in doc["choices"]]
    _, paper = first_requests("arc", "zh", "paper", data, tmp_path)
    assert paper == [(prompt, f" {option}") for prompt, option in current]
    _, cloze = first_requests("arc", "zh", "cloze", data, tmp_path)
    assert cloze == [(f"user:问题：{doc['instruction']}\n答案：|", option) for option in doc["choices"]]


def test_stock_prompts_are_untouched_apart_from_the_data(data: Path) -> None:
    for benchmark in ("arc", "mmlu", "hellaswag", "belebele"):
        for column in columns(benchmark, "hub", ["de", "en"]):
            for file in sorted(HARNESS_TASKS.glob(column.yaml)):
                if not file.name.startswith("_"):
                    stock = {key: value for key, value in load_yaml(file).items() if key != "tag"}
                    ours = task_config(column, file, data, prompting("current"))
                    assert ours.pop("dataset_path") == str(data / column.dataset)
                    if column.dataset == "alexandrainst/m_arc":  # which may lack a fifth option: it is read alike
                        read = [each.pop("process_docs")(QUESTIONS).to_list() for each in (ours, stock)]
                        assert read[0] == read[1] != []
                    assert ours == {key: value for key, value in stock.items() if key != "dataset_path"}


def test_mkqas_prompt_is_the_users_and_by_default_the_task_folders() -> None:
    (column,) = columns("mkqa", "hub", ["es"])
    file = FOLDER / "mkqa_es.yaml"

    def asked(prompt: str) -> str:
        return task_config(column, file, Path("data"), Prompting("paper", prompt, 32))["doc_to_text"]

    assert asked(Mkqa().prompt) == load_yaml(file)["doc_to_text"]
    assert asked("{question} =") == "{{question}} =" and asked("¿{question}?") == f"¿{ASKED}"


@pytest.mark.parametrize("benchmark", ["arc", "belebele", "mmlu", "hellaswag"])
def test_demo_questions_are_parallel_and_their_gold_answers_right(benchmark: str, data: Path, tmp_path: Path) -> None:
    """Item i has the same place of the right answer in all languages, and not always the same place."""
    golds = {}
    for column in columns(benchmark, "demo"):
        if column.name != "en-e":
            (task,) = build_tasks(column, data, tmp_path, prompting("cloze")).values()
            golds[column.name] = [options_of(task, doc)[1] for doc in task.eval_docs]
    assert len(set(map(tuple, golds.values()))) == 1
    assert len(set(golds["de"])) > 1


def test_demo_arc_gold_answer_is_the_fact(data: Path, tmp_path: Path) -> None:
    (task,) = build_tasks(only("arc", "en-c"), data, tmp_path, prompting("cloze")).values()
    answers = {}
    for doc in task.eval_docs:
        options, gold = options_of(task, doc)
        answers[dict(doc)["question"]] = options[gold]  # type: ignore[call-overload]
    assert answers["What is the currency of China?"] == "Chinese yuan"
    assert answers["Which day comes after Sunday?"] == "Monday"


def test_data_in_another_layout_are_refused(tmp_path: Path) -> None:
    (tmp_path / "facebook" / "belebele").mkdir(parents=True)
    (tmp_path / "facebook" / "belebele" / "x.txt").write_text("no data set")
    with pytest.raises(UserError, match=r"belebele_deu_Latn cannot read .*layout of the hub"):
        build_tasks(only("belebele", "de"), tmp_path, tmp_path / "cache", prompting("current"))


def closure_of(module: str) -> set[str]:
    return {file.relative_to(PACKAGE).as_posix() for file in import_closure(PACKAGE / module)}


@pytest.mark.parametrize(
    ("module", "files"),
    [
        ("stages/evaluate_model.py", ["evaluation/packing.py", "evaluation/results.py"]),
        ("evaluation/cloze.py", ["corpora/demo/phrases/de.yaml"]),
        ("stages/generate_benchmark.py", ["corpora/demo/phrases/de.yaml", "corpora/demo/questions.py"]),
    ],
)
def test_what_a_result_depends_on_is_in_its_code_digest(module: str, files: list[str]) -> None:
    assert set(files) <= closure_of(module)


@pytest.mark.parametrize("stage", ["evaluate_model", "collect_documents", "collect_prompts", "fetch_prompts"])
def test_what_only_the_demo_or_a_backend_not_chosen_reads_is_not(stage: str) -> None:
    """They are imported by name, where they are chosen."""
    others = {"evaluation/cloze.py", "evaluation/vllm_backend.py"}
    assert not [file for file in closure_of(f"stages/{stage}.py") if file.startswith("corpora/demo/") or file in others]
