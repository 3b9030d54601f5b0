"""Parallel prompts: Belebele's layout from local files, and generated ones."""

from __future__ import annotations

import re
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


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "a.jsonl:1: not JSON"),
        (b'{"a": "\xe4"}', "a.jsonl:1: not UTF-8 (byte 0xe4, column 8)"),
        (b'{"a":' * 100_000, "a.jsonl:1: JSON that cannot be read (maximum recursion depth"),
    ],
    ids=["cut", "latin-1", "deep"],
)
def test_what_is_no_json_lines_is_refused_with_its_line(data: bytes, message: str, tmp_path: Path):
    (tmp_path / "a.jsonl").write_bytes(data)
    prompts = FilesPrompts(kind="files", files={"en": str(tmp_path / "a.jsonl")}, n_prompts=1)
    with pytest.raises(UserError, match=re.escape(message)):
        from_files.parallel_prompts(prompts, "en")


def test_generated_prompts_are_parallel_and_come_back(tmp_path: Path):
    settings = DemoPrompts(kind="demo", languages=["de", "sw"], n_prompts=7)
    german, swahili = (from_demo.parallel_prompts(settings, language)[0] for language in settings.languages)
    assert [each.item for each in german] == [each.item for each in swahili] and len(german) == 7
    assert german[0].text != swahili[0].text and all("\n" in each.text for each in german)
    save_prompts(tmp_path / "again.parquet", german, {"documents": 1})
    assert load_prompts(tmp_path / "again.parquet") == german
