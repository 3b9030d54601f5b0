"""The five benchmarks of the demo, as files in the hub layout of the real data sets: same fields, same splits.

Every question is asked in all languages, item by item; `questions.py` says what is asked. English ARC's easy part has
wrong answers of another kind, all others are like each other.

    {folder}/{organisation}/{name}/README.md      front matter lists the configurations and their files
    {folder}/{organisation}/{name}/{configuration}/{split}.jsonl
    {folder}/apple/ml-mkqa/mkqa.jsonl.gz          one record a question, all languages in it
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import yaml

from polyprune.artifacts.benchmark_data import MKQA_FILE
from polyprune.corpora.demo.draws import draw
from polyprune.corpora.demo.questions import Question, continuations, knowledge_questions, reading_questions
from polyprune.grammar.languages import DEMO_LANGUAGES, FLORES_CODES, MKQA_CODES

Rows = list[dict[str, Any]]
Configurations = Mapping[str, Mapping[str, Rows]]
"""Rows by configuration and split."""

_LETTERS = "ABCD"
_N_OTHER_SPLITS = 2
"""Questions of splits that the harness reads but does not score."""


def write_benchmark(benchmark: str, folder: Path, n: int) -> list[str]:
    """Write the data sets of a benchmark, of `n` questions a language; their names."""
    written = []
    for name, configurations in _MAKERS[benchmark](n).items():
        target = folder / name
        target.mkdir(parents=True, exist_ok=True)
        if benchmark == "mkqa":
            _write_gzip(target / MKQA_FILE, configurations["default"]["train"])
        else:
            _write_data_set(target, configurations)
        written.append(name)
    return written


def _write_data_set(folder: Path, configurations: Configurations) -> None:
    front = []
    for name, splits in configurations.items():
        (folder / name).mkdir(exist_ok=True)
        files = []
        for split, rows in splits.items():
            _write_lines(folder / name / f"{split}.jsonl", rows)
            files.append({"split": split, "path": f"{name}/{split}.jsonl"})
        front.append({"config_name": name, "data_files": files})
    text = yaml.safe_dump({"configs": front}, sort_keys=False)
    card = f"---\n{text}---\nGenerated from CLDR facts; no data of the real benchmark.\n"
    (folder / "README.md").write_text(card, encoding="utf-8")


def _lines(rows: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    path.write_text(_lines(rows), encoding="utf-8")


def _write_gzip(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Without a time in the header: same rows, same bytes."""
    path.write_bytes(gzip.compress(_lines(rows).encode(), mtime=0))


def _shuffled(question: Question, seed: str) -> tuple[list[str], int]:
    """The four answers in an order that is the same in every language, and the place of the right one."""
    rng = Random(f"{seed}/{question.kind}/{question.key}")
    order = draw(rng, range(4), 4)
    answers = [question.answer, *question.distractors]
    return [answers[place] for place in order], order.index(0)


def _split(rows: Rows, names: Sequence[str], scored: str) -> dict[str, Rows]:
    """The rows as the scored split, and the first of them again as the others."""
    return {name: rows if name == scored else rows[:_N_OTHER_SPLITS] for name in names}


def _arc(n: int) -> dict[str, Configurations]:
    okapi, english = {}, {}
    splits = ("train", "validation", "test")
    for language in DEMO_LANGUAGES:
        questions = knowledge_questions(language, n, "arc")
        okapi[language] = _split([_okapi(question, i, "arc") for i, question in enumerate(questions)], splits, "test")
    hard = knowledge_questions("en", n, "arc")
    english["ARC-Challenge"] = _split([_ai2(question, i) for i, question in enumerate(hard)], splits, "test")
    english["ARC-Easy"] = _split([_ai2(question, i) for i, question in enumerate(_easier(hard))], splits, "test")
    return {"allenai/ai2_arc": english, "alexandrainst/m_arc": okapi}


def _easier(questions: Sequence[Question]) -> list[Question]:
    """The same questions with answers to questions of other kinds as wrong answers."""
    easier = []
    for question in questions:
        rng = Random(f"easy/{question.kind}/{question.key}")
        others = list(dict.fromkeys(other.answer for other in questions if other.kind != question.kind))
        first, second, third = draw(rng, [other for other in others if other != question.answer], 3)
        easier.append(Question(question.kind, question.key, question.question, question.answer, (first, second, third)))
    return easier


def _ai2(question: Question, number: int) -> dict[str, Any]:
    answers, gold = _shuffled(question, "arc")
    return {
        "id": f"demo-{number}",
        "question": question.question,
        "choices": {"text": answers, "label": list(_LETTERS)},
        "answerKey": _LETTERS[gold],
    }


def _okapi(question: Question, number: int, seed: str) -> dict[str, Any]:
    answers, gold = _shuffled(question, seed)
    options = {f"option_{letter.lower()}": answer for letter, answer in zip(_LETTERS, answers, strict=True)}
    last = {"option_e": None} if seed == "arc" else {}
    return {"id": f"demo/{number}", "instruction": question.question, **options, **last, "answer": _LETTERS[gold]}


def _mmlu(n: int) -> dict[str, Configurations]:
    configurations = {}
    for language in DEMO_LANGUAGES:
        rows = [_okapi(question, i, "mmlu") for i, question in enumerate(knowledge_questions(language, n, "mmlu"))]
        configurations[language] = _split(rows, ("train", "val", "test"), "test")
    return {"alexandrainst/m_mmlu": configurations}


def _belebele(n: int) -> dict[str, Configurations]:
    configurations = {}
    for language in DEMO_LANGUAGES:
        rows = []
        for number, reading in enumerate(reading_questions(language, n, "belebele")):
            order = draw(Random(f"belebele/{number}"), range(4), 4)
            answers = [(reading.answer, *reading.distractors)[place] for place in order]
            rows.append(
                {
                    "link": f"demo-{number}",
                    "question_number": 1,
                    "flores_passage": reading.passage,
                    "question": reading.question,
                    **{f"mc_answer{place}": answer for place, answer in enumerate(answers, start=1)},
                    "correct_answer_num": str(order.index(0) + 1),
                    "dialect": FLORES_CODES[language],
                }
            )
        configurations[FLORES_CODES[language]] = {"test": rows}
    return {"facebook/belebele": configurations}


def _hellaswag(n: int) -> dict[str, Configurations]:
    rows = {
        language: [
            {
                "ind": number,
                "activity_label": "",
                "ctx_a": item.context,
                "ctx_b": "",
                "ctx": item.context,
                "endings": list(item.endings),
                "label": str(item.gold),
            }
            for number, item in enumerate(continuations(language, n, "hellaswag"))
        ]
        for language in DEMO_LANGUAGES
    }
    english = {"default": _split(rows["en"], ("train", "validation"), "validation")}
    okapi = {language: {"val": rows[language]} for language in DEMO_LANGUAGES if language != "en"}
    return {"Rowan/hellaswag": english, "alexandrainst/m_hellaswag": okapi}


def _mkqa(n: int) -> dict[str, Configurations]:
    """Knowledge questions without choices, and one record of each type that is left out of scoring."""
    asked = {language: knowledge_questions(language, n, "mkqa") for language in DEMO_LANGUAGES}
    records: Rows = []
    for number in range(n):
        records.append(_record(number, {language: asked[language][number] for language in asked}, "entity"))
    for number, kind in enumerate(("long_answer", "unanswerable"), start=n):
        records.append(_record(number, {language: asked[language][0] for language in asked}, kind))
    return {"apple/ml-mkqa": {"default": {"train": records}}}


def _record(number: int, questions: Mapping[str, Question], kind: str) -> dict[str, Any]:
    def key(language: str) -> str:
        return MKQA_CODES.get(language, language)

    def answer(question: Question) -> dict[str, Any]:
        text = question.answer if kind == "entity" else None
        return {"type": kind, "text": text, "aliases": []}

    return {
        "example_id": number,
        "query": questions["en"].question,
        "queries": {key(language): question.question for language, question in questions.items()},
        "answers": {key(language): [answer(question)] for language, question in questions.items()},
    }


_MAKERS: dict[str, Callable[[int], dict[str, Configurations]]] = {
    "arc": _arc,
    "belebele": _belebele,
    "mmlu": _mmlu,
    "hellaswag": _hellaswag,
    "mkqa": _mkqa,
}
