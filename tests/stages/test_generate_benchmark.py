"""Generated benchmarks: what the harness is to read is there, parallel in all languages, and right by the facts."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from polyprune.artifacts.benchmark_data import load_manifest
from polyprune.corpora.demo import continuations, knowledge_questions, reading_questions
from polyprune.errors import UserError
from polyprune.grammar.benchmarks import BENCHMARKS, datasets
from polyprune.grammar.languages import DEMO_LANGUAGES, FLORES_CODES, MKQA_CODES
from polyprune.stages.generate_benchmark import generate_benchmark

N = 12
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All benchmarks, with what they are of beside them."""
    folder = tmp_path_factory.mktemp("benchmarks")
    for benchmark in BENCHMARKS:
        generate_benchmark(benchmark, N, folder / f"{benchmark}.json", {"code": "abc"})
    return folder


def read(data_set: Path) -> dict[tuple[str, str], Rows]:
    """Rows by configuration and split, found by the front matter of README.md as the hub's library finds them."""
    front = yaml.safe_load((data_set / "README.md").read_text(encoding="utf-8").split("---\n")[1])
    return {
        (configuration["config_name"], file["split"]): [
            json.loads(line) for line in (data_set / file["path"]).read_text(encoding="utf-8").splitlines()
        ]
        for configuration in front["configs"]
        for file in configuration["data_files"]
    }


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_all_data_sets_are_there_and_the_same_bytes_twice(benchmark: str, home: Path, tmp_path: Path):
    """Also over the leftovers of another run."""
    found = load_manifest(home / f"{benchmark}.json")
    assert sorted(found.revisions) == datasets(benchmark, "demo")
    assert json.loads((home / f"{benchmark}.json").read_text())["code"] == "abc"
    leftover = tmp_path / benchmark / datasets(benchmark, "demo")[0] / "old" / "test.jsonl"
    leftover.parent.mkdir(parents=True)
    leftover.write_text("{}\n")
    generate_benchmark(benchmark, N, tmp_path / f"{benchmark}.json", {"code": "abc"})
    assert files_of(tmp_path / benchmark) == files_of(found.folder)
    assert (tmp_path / f"{benchmark}.json").read_bytes() == (home / f"{benchmark}.json").read_bytes()
    generate_benchmark(benchmark, N - 1, tmp_path / f"{benchmark}.json", {"code": "abc"})
    assert load_manifest(tmp_path / f"{benchmark}.json").revisions.keys() == found.revisions.keys()
    assert not set(load_manifest(tmp_path / f"{benchmark}.json").revisions.values()) & set(found.revisions.values())


@pytest.mark.parametrize(
    ("benchmark", "name", "scored", "others"),
    [
        ("arc", "alexandrainst/m_arc", "test", ["train", "validation"]),
        ("mmlu", "alexandrainst/m_mmlu", "test", ["train", "val"]),
    ],
)
def test_letters_name_the_right_answer(benchmark: str, name: str, scored: str, others: list[str], home: Path):
    """The fact's own answer in each language; all places are right now and then, and the same in all languages."""
    rows = read(home / benchmark / name)
    places = []
    for language in DEMO_LANGUAGES:
        asked = rows[language, scored]
        assert len(asked) == N and all(rows[language, other] == asked[:2] for other in others)
        for row, question in zip(asked, knowledge_questions(language, N, benchmark), strict=True):
            options = [row[f"option_{letter}"] for letter in "abcd"]
            assert row["instruction"] == question.question and len(set(options)) == 4
            assert options["ABCD".index(row["answer"])] == question.answer
        places.append([row["answer"] for row in asked])
    assert all(each == places[0] for each in places) and len(set(places[0])) > 2


def test_english_arc_asks_the_same_questions_twice_with_easier_wrong_answers(home: Path):
    rows = read(home / "arc" / "allenai/ai2_arc")
    right = {question.question: question for question in knowledge_questions("en", N, "arc")}
    for part in ("ARC-Challenge", "ARC-Easy"):
        assert [row["question"] for row in rows[part, "test"]] == list(right)
        for row in rows[part, "test"]:
            question, choices = right[row["question"]], row["choices"]
            assert choices["label"] == list("ABCD")
            assert choices["text"]["ABCD".index(row["answerKey"])] == question.answer
            same_kind = {*question.distractors, question.answer}
            assert (set(choices["text"]) == same_kind) == (part == "ARC-Challenge")
            others = {answer.answer for answer in right.values() if answer.kind != question.kind}
            assert part == "ARC-Challenge" or set(choices["text"]) - {question.answer} <= others


def test_numbers_name_the_right_reading(home: Path):
    rows = read(home / "belebele" / "facebook/belebele")
    places = []
    for language in DEMO_LANGUAGES:
        asked = rows[FLORES_CODES[language], "test"]
        for row, reading in zip(asked, reading_questions(language, N, "belebele"), strict=True):
            assert (row["flores_passage"], row["question"]) == (reading.passage, reading.question)
            answers = [row[f"mc_answer{number}"] for number in range(1, 5)]
            assert answers[int(row["correct_answer_num"]) - 1] == reading.answer
            assert sorted(answers) == sorted([reading.answer, *reading.distractors])
        assert {row["dialect"] for row in asked} == {FLORES_CODES[language]}
        places.append([(row["link"], row["correct_answer_num"]) for row in asked])
    assert all(each == places[0] for each in places)
    assert len(set(places[0])) == N and len({number for _, number in places[0]}) > 2


def test_labels_name_the_right_ending(home: Path):
    english = read(home / "hellaswag" / "Rowan/hellaswag")
    others = read(home / "hellaswag" / "alexandrainst/m_hellaswag")
    assert {language for language, _ in others} == set(DEMO_LANGUAGES) - {"en"}
    for language in DEMO_LANGUAGES:
        asked = english["default", "validation"] if language == "en" else others[language, "val"]
        for row, item in zip(asked, continuations(language, N, "hellaswag"), strict=True):
            assert row["ctx"] == item.context and row["endings"][int(row["label"])] == item.endings[item.gold]


def test_mkqa_has_every_question_in_all_languages_and_some_without_an_answer(home: Path):
    text = gzip.decompress((home / "mkqa/apple/ml-mkqa/mkqa.jsonl.gz").read_bytes()).decode()
    records = [json.loads(line) for line in text.splitlines()]
    assert [record["example_id"] for record in records] == list(range(N + 2))
    for language in DEMO_LANGUAGES:
        key = MKQA_CODES.get(language, language)
        for record, question in zip(records[:N], knowledge_questions(language, N, "mkqa"), strict=True):
            assert record["queries"][key] == question.question
            assert record["answers"][key] == [{"type": "entity", "text": question.answer, "aliases": []}]
        kinds = [record["answers"][key][0]["type"] for record in records[N:]]
        assert kinds == ["long_answer", "unanswerable"]


def test_more_questions_than_facts_are_refused_and_leave_no_manifest(tmp_path: Path):
    with pytest.raises(UserError, match="90 questions are asked for, the demo world has 89 facts to ask for; lower"):
        generate_benchmark("mmlu", 90, tmp_path / "mmlu.json", {})
    assert not (tmp_path / "mmlu.json").exists()
