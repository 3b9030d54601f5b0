"""Parallel prompts from the hub, as one file: which, in which order, from which commit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pyarrow.parquet as pq
import pytest
from tests.helpers.hub import LATER, NOW, answer, hub_prompts, refuse, serve_data_set
from tests.helpers.parallel_prompts import row

from polyprune.artifacts.prompts import Prompt, load_prompts
from polyprune.errors import UserError
from polyprune.stages.fetch_prompts import fetch_prompts

ROWS = [row("b", 1), row("a", 10), row("a", 2)]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock file lies in the working directory."""
    monkeypatch.chdir(tmp_path)


def serve(folder: Path, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    serve_data_set(folder, {"data/deu_Latn.jsonl": rows}, monkeypatch, "org/questions")


def test_the_first_prompts_are_fetched_at_their_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """By passage and number, in the file of the language's code; the commit is locked at the first fetch."""
    serve(tmp_path, ROWS, monkeypatch)
    for today in (NOW, LATER):
        answer(monkeypatch, today)
        fetch_prompts(hub_prompts(), "de", tmp_path / "de.parquet", {"code": "abc"})
        assert load_prompts(tmp_path / "de.parquet") == [Prompt("a#2", "On a.\nQ2?"), Prompt("a#10", "On a.\nQ10?")]
        provenance = json.loads(pq.read_schema(tmp_path / "de.parquet").metadata[b"polyprune"])
        expected = {"code": "abc", "dataset": "org/questions", "revision": NOW, "schema": "prompts/2"}
        assert {name: provenance[name] for name in expected} == expected
    assert json.loads(Path("revisions.lock").read_text()) == {"datasets": {"org/questions": NOW}}


def test_the_same_commit_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Whatever the order of the rows."""
    outputs = [tmp_path / name for name in ("a.parquet", "b.parquet")]
    for rows, output in zip((ROWS, ROWS[::-1]), outputs, strict=True):
        serve(tmp_path, rows, monkeypatch)
        fetch_prompts(hub_prompts(revision=NOW), "de", output, {"code": "abc"})
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    fetch_prompts(hub_prompts(1, revision=NOW), "de", outputs[1], {"code": "abc"})
    assert outputs[0].read_bytes() != outputs[1].read_bytes()


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        (ROWS[:1], "has 1 prompts, 2 are wanted: lower `n_prompts`"),
        ([row("a", 1), row("a", 1)], "question 1 on a is there twice"),
        ([{"passage": "x"}], "row 0 has no link, question_number, flores_passage, question: not Belebele's layout"),
    ],
)
def test_a_data_set_of_another_layout_is_refused_and_leaves_no_file(
    rows: list[dict[str, Any]], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    serve(tmp_path, rows, monkeypatch)
    with pytest.raises(UserError) as refused:
        fetch_prompts(hub_prompts(revision=NOW), "de", tmp_path / "de.parquet", {})
    assert str(refused.value).startswith("dataset org/questions, data/deu_Latn.jsonl")
    assert str(refused.value).endswith(complaint)
    assert not list(tmp_path.glob("*.parquet*"))


def test_a_hub_out_of_reach_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    refuse(monkeypatch, httpx2.ConnectError("no route"))
    with pytest.raises(UserError, match="dataset org/questions is not in this machine's cache and the hub is off"):
        fetch_prompts(hub_prompts(), "de", tmp_path / "de.parquet", {})
