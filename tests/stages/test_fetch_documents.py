"""A hub corpus in one language, as one file: which documents, from which commit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pyarrow.parquet as pq
import pytest
from tests.helpers.hub import LATER, NOW, WEB, answer, refuse, serve_data_set, web_corpus

from polyprune.artifacts.corpus import SPLITS, load_documents
from polyprune.errors import UserError
from polyprune.stages.fetch_documents import fetch_documents


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock file lies in the working directory."""
    monkeypatch.chdir(tmp_path)


def metadata(path: Path) -> dict[str, Any]:
    return json.loads(pq.read_schema(path).metadata[b"polyprune"])


def test_a_hub_corpus_is_collected_with_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Of the first three documents that are not blank, `zwei` is left out: it is in the validation part."""
    serve_data_set(tmp_path, WEB, monkeypatch)
    output = tmp_path / "de.parquet"
    fetch_documents(web_corpus(), "de", output, {"code": "abc"})
    assert {split: load_documents(output, split) for split in SPLITS} == {
        "train": [],
        "calibration": ["eins", "drei"],
        "evaluation": ["zwei", "fünf 语"],
    }
    assert metadata(output) == {
        "code": "abc",
        "dataset": "org/web",
        "revision": NOW,
        "documents": {"calibration": 2, "evaluation": 2, "train": 0},
        "place": None,
        "schema": "corpus/2",
    }


def test_the_same_commit_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Whatever the order in which the hub lists the files."""
    outputs = [tmp_path / name for name in ("a.parquet", "b.parquet")]
    for files, output in zip((WEB, dict(reversed(WEB.items()))), outputs, strict=True):
        serve_data_set(tmp_path, files, monkeypatch)
        fetch_documents(web_corpus(), "de", output, {"code": "abc"})
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    fetch_documents(web_corpus(documents={"calibration": 1, "evaluation": 5}), "de", outputs[1], {"code": "abc"})
    assert outputs[0].read_bytes() != outputs[1].read_bytes()


def test_a_corpus_that_is_not_pinned_is_locked_at_its_first_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    serve_data_set(tmp_path, WEB, monkeypatch)
    for today in (NOW, LATER):
        answer(monkeypatch, today)
        fetch_documents(web_corpus(revision=None), "de", tmp_path / "de.parquet", {})
        assert metadata(tmp_path / "de.parquet")["revision"] == NOW
    assert json.loads(Path("revisions.lock").read_text()) == {"datasets": {"org/web": NOW}}


def test_a_language_without_files_is_refused_and_leaves_no_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    serve_data_set(tmp_path, WEB, monkeypatch)
    with pytest.raises(UserError) as refused:
        fetch_documents(web_corpus(), "sw", tmp_path / "sw.parquet", {})
    assert str(refused.value) == f"dataset org/web at {NOW} has no file m/c4-sw.tfrecord-*.json.gz"
    assert not list(tmp_path.glob("*.parquet*"))


def test_a_missing_field_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    serve_data_set(tmp_path, WEB, monkeypatch)
    with pytest.raises(UserError, match="dataset org/web has no text field 'body', it has: text, url; set `field`"):
        fetch_documents(web_corpus(field="body"), "de", tmp_path / "de.parquet", {})


def test_a_hub_out_of_reach_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    refuse(monkeypatch, httpx2.ConnectError("no route"))
    with pytest.raises(UserError, match="dataset org/web is not in this machine's cache and the hub is off"):
        fetch_documents(web_corpus(), "de", tmp_path / "de.parquet", {})
    assert not list(tmp_path.glob("*.parquet*"))
