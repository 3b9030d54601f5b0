"""MKQA's metric by hand and its task through a plain harness."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks import TaskManager
from lm_eval.tasks._yaml_loader import load_yaml

from polyprune.evaluation import mkqa
from polyprune.evaluation.mkqa.utils import normalise, process_results, score
from polyprune.evaluation.tasks import brisk_harness

TYPES = ("entity", "long_answer", "unanswerable", "date", "number", "number_with_unit", "short_phrase", "binary")


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        ("The U.S.  of  A", "en", "us of"),  # punctuation goes first, so "A" is an article of its own
        ("an anthem", "en", "anthem"),
        ("La  casa; el Niño", "es", "casa niño"),
        ("Die Straße der Einheit", "de", "straße einheit"),
        ("القط والكتاب", "ar", "قط و كتاب"),  # wherever it stands
        ("Это — дом.", "ru", "это — дом"),  # no articles; only ASCII punctuation
        ("英国。", "zh_cn", "英国。"),
    ],
)
def test_normalisation_by_hand(text: str, key: str, expected: str) -> None:
    assert normalise(text, key) == expected


@pytest.mark.parametrize(
    ("prediction", "golds", "key", "f1", "f1_ws", "em"),
    [
        ("Paris, France", ["Paris"], "en", 2 / 3, 2 / 3, 0),
        ("the Paris", ["London", "paris"], "en", 1, 1, 1),
        ("a b b", ["b b b c"], "es", 2 * 2 / 7, 2 * 2 / 7, 0),  # bags: b counts twice
        ("", ["Paris"], "en", 0, 0, 0),
        ("the", ["a"], "en", 1, 1, 1),  # both empty
        ("英国人", ["英国"], "zh_cn", 0.8, 0, 0),
        ("5 月", ["5月"], "zh_cn", 1, 0, 1),  # white space is no token per character
        ("5 月", ["5月"], "ru", 0, 0, 0),
    ],
)
def test_scores_by_hand(prediction: str, golds: list[str], key: str, f1: float, f1_ws: float, em: float) -> None:
    assert score(prediction, golds, key) == pytest.approx({"f1": f1, "f1_ws": f1_ws, "em": em}, abs=1e-12)


def record(number: int, kind: str) -> dict[str, Any]:
    text = None if kind in ("long_answer", "unanswerable") else f"{kind} {number}"
    answer = {"type": kind, "text": text, "aliases": [f"alias {number}"]}
    if kind == "entity":
        answer["entity"] = "Q1"  # only some answers have this field
    keys = ("ar", "de", "en", "es", "ru", "zh_cn", "fi")
    return {
        "query": f"question {number}",
        "example_id": -7896399267156135965 + number,
        "queries": {key: f"{key} question {number}" for key in keys},
        "answers": {key: [answer] for key in keys},
    }


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mkqa.jsonl.gz"
    rows = [record(number, kind) for number, kind in enumerate(TYPES)]
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    return path


@pytest.mark.parametrize(("language", "key"), [("de", "de"), ("zh", "zh_cn")])
def test_task_folder_runs_under_a_plain_harness(file: Path, language: str, key: str, tmp_path: Path) -> None:
    manager = TaskManager(include_path=str(mkqa.FOLDER), include_defaults=False)
    assert manager.all_subtasks == [f"mkqa_{language}" for language in ("ar", "de", "en", "es", "ru", "zh")]
    config = load_yaml(mkqa.FOLDER / f"mkqa_{language}.yaml")
    assert "651b8cc85c407270b024157aff06ee6ab8c4fc6d/dataset/mkqa.jsonl.gz" in config["dataset_kwargs"]["data_files"]
    config |= {"tag": None, "dataset_kwargs": {"data_files": str(file), "cache_dir": str(tmp_path)}}
    with brisk_harness():
        task: Any = ConfigurableTask(config=config)
    assert task.eval_docs is task.eval_docs, "questions are read anew at every look"
    docs = list(task.eval_docs)
    assert [doc["types"] for doc in docs] == [[kind] for kind in TYPES if kind not in ("long_answer", "unanswerable")]
    assert docs[0] == {
        "id": "-7896399267156135965",
        "question": f"{key} question 0",
        "golds": ["entity 0", "alias 0"],
        "types": ["entity"],
        "key": key,
    }
    assert task.doc_to_text(docs[0]) == f"Q: {key} question 0?\nA:"
    for asked in ("¿quién es?", "من هو؟", "谁？"):
        assert task.doc_to_text(docs[0] | {"question": asked}) == f"Q: {asked}\nA:"
    assert config["doc_to_text"] == f"Q: {mkqa.ASKED}\nA:"
    assert process_results(docs[0], ["Alias 0"]) == {"f1": 1.0, "f1_ws": 1.0, "em": 1.0}
    assert set(task.aggregation()) == {"f1", "f1_ws", "em"}
