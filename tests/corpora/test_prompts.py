"""Parallel prompts: Belebele's layout from local files, and generated ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.helpers.parallel_prompts import row, write_prompts

from polyprune.artifacts.prompts import load_prompts, save_prompts
from polyprune.corpora import from_demo, from_files
from polyprune.errors import UserError
from polyprune.settings.text import DemoPrompts, FilesPrompts


def test_prompts_are_in_one_order_whatever_the_files(tmp_path: Path):
    """Sorted by passage and question number, as numbers; the first ones."""
    rows = [row("b", 1), row("a", 10), row("a", 2)]
    for shuffled in (rows, rows[::-1]):
        prompts, _ = from_files.parallel_prompts(write_prompts(tmp_path, shuffled), "en")
        assert [(each.item, each.text) for each in prompts] == [("a#2", "On a.\nQ2?"), ("a#10", "On a.\nQ10?")]


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([row("a", 1)], "has 1 prompts, 2 are wanted: lower `n_prompts`"),
        ([row("a", 1), row("a", 1)], "question 1 on a is there twice"),
        ([row("a", 1), [1]], "row 1 is list, no record: not Belebele's layout"),
        ([row("a", 1), 5], "row 1 is int, no record: not Belebele's layout"),
        ([row("a", 1, question=None)], "row 0: question is None, no text; correct or drop the row"),
        ([row("a", 1, flores_passage=" ")], "row 0: flores_passage is ' ', no text; correct or drop the row"),
        ([row("a", 1, question_number="x")], "row 0: question_number is 'x', no number"),
        ([row("a", 1, question_number=1.5)], "row 0: question_number is 1.5, no number"),
        ([{"passage": "x"}], "row 0 has no link, question_number, flores_passage, question: not Belebele's layout"),
    ],
)
def test_files_of_another_layout_are_refused(rows: list[Any], complaint: str, tmp_path: Path):
    with pytest.raises(UserError) as refused:
        from_files.parallel_prompts(write_prompts(tmp_path, rows), "en")
    assert str(refused.value).endswith(complaint)


def test_unreadable_files_are_refused(tmp_path: Path):
    absent = FilesPrompts(kind="files", files={"en": str(tmp_path / "no.jsonl")}, n_prompts=1)
    with pytest.raises(UserError, match=r"no\.jsonl does not exist; correct the path"):
        from_files.parallel_prompts(absent, "en")


@pytest.mark.parametrize("data", [b"{", b'{"a": "\xe4"}', b'{"a":' * 100_000], ids=["cut", "latin-1", "deep"])
def test_what_is_no_json_lines_is_refused(data: bytes, tmp_path: Path):
    file = tmp_path / "a.jsonl"
    file.write_bytes(data)
    with pytest.raises(UserError, match=r"a\.jsonl cannot be read as JSON lines"):
        from_files.parallel_prompts(FilesPrompts(kind="files", files={"en": str(file)}, n_prompts=1), "en")


def test_generated_prompts_are_parallel_and_come_back(tmp_path: Path):
    settings = DemoPrompts(kind="demo", languages=["de", "sw"], n_prompts=7)
    german, swahili = (from_demo.parallel_prompts(settings, language)[0] for language in settings.languages)
    assert [each.item for each in german] == [each.item for each in swahili] and len(german) == 7
    assert german[0].text != swahili[0].text and all("\n" in each.text for each in german)
    save_prompts(tmp_path / "again.parquet", german, {"documents": 1})
    assert load_prompts(tmp_path / "again.parquet") == german
