"""Corpus files."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq

from polyprune.artifacts.corpus import load_documents, save_corpus

DOCUMENTS = {
    "evaluation": ["e1", "e2 语"],
    "train": (text for text in ["t2", "t1\nwith a line", "t2"]),
    "calibration": ["c1 🙂"],
}


def test_documents_come_back_by_split_and_in_order(tmp_path: Path):
    path = tmp_path / "de.parquet"
    save_corpus(path, DOCUMENTS, {"code": "abc", "documents": {"train": 3}})
    assert load_documents(path, "train") == ["t2", "t1\nwith a line", "t2"]
    assert load_documents(path, "calibration") == ["c1 🙂"]
    assert load_documents(path, "evaluation") == ["e1", "e2 语"]
    table = pq.read_table(path)
    assert table["split"].to_pylist() == ["train"] * 3 + ["calibration"] + ["evaluation"] * 2
    assert json.loads(pq.read_schema(path).metadata[b"polyprune"]) == {
        "code": "abc", "documents": {"train": 3}, "schema": "corpus/2", "place": None
    }  # fmt: skip


def test_a_split_may_be_missing(tmp_path: Path):
    save_corpus(tmp_path / "x", {"evaluation": ["e"]}, {})
    assert load_documents(tmp_path / "x", "train") == []
    assert load_documents(tmp_path / "x", "evaluation") == ["e"]


def test_same_documents_same_bytes(tmp_path: Path):
    for name in "xy":
        save_corpus(tmp_path / name, {"train": ["a", "b"], "evaluation": ["c"]}, {"b": 1, "a": 2})
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()
