"""Collected corpora: every source, and nothing in evaluation that is also in training or calibration."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.helpers.digests import digest_by_hand

from polyprune.artifacts.corpus import SPLITS, load_documents
from polyprune.errors import UserError
from polyprune.settings.text import DemoCorpus, DemoDocuments, FilesCorpus, FileShares
from polyprune.stages.collect_documents import collect_documents


def files_corpus(folder: Path, lines: list[str], train: float, calibration: float, evaluation: float) -> FilesCorpus:
    (folder / "de.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    shares = FileShares(train=train, calibration=calibration, evaluation=evaluation)
    return FilesCorpus(kind="files", field="text", files={"de": str(folder / "de.txt")}, shares=shares)


def collected(path: Path) -> dict[str, list[str]]:
    return {split: load_documents(path, split) for split in SPLITS}


def metadata(path: Path) -> dict[str, Any]:
    return json.loads((pq.read_schema(path).metadata or {})[b"polyprune"])


def test_what_evaluation_has_is_left_out_of_training_and_calibration(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    lines = ["t1", "same", "t2", "t1", "c1", "same", "c1", "also", "same", "also", "e1", "same"]
    corpus = files_corpus(tmp_path, lines, train=4 / 12, calibration=4 / 12, evaluation=4 / 12)
    with caplog.at_level(logging.INFO, logger="polyprune"):
        collect_documents(corpus, "de", tmp_path / "out" / "de.parquet", {"code": "abc"})
    assert collected(tmp_path / "out" / "de.parquet") == {
        "train": ["t1", "t2", "t1"],
        "calibration": ["c1", "c1"],
        "evaluation": ["same", "also", "e1", "same"],
    }
    assert caplog.messages == [
        f"de: {tmp_path / 'de.txt'}",
        "train: 1 of 4 documents left out: evaluation has them too",
        "calibration: 2 of 4 documents left out: evaluation has them too",
        "de: 3 train, 2 calibration, 4 evaluation",
    ]
    assert metadata(tmp_path / "out" / "de.parquet") == {
        "code": "abc",
        "dataset": "files",
        "revision": digest_by_hand([".txt", tmp_path / "de.txt"]),
        "documents": {"train": 3, "calibration": 2, "evaluation": 4},
        "place": None,
        "schema": "corpus/2",
    }


def test_a_corpus_without_a_training_part(tmp_path: Path):
    corpus = files_corpus(tmp_path, ["a", "b", "c", "d"], train=0, calibration=0.5, evaluation=0.5)
    collect_documents(corpus, "de", tmp_path / "x", {})
    assert collected(tmp_path / "x") == {"train": [], "calibration": ["a", "b"], "evaluation": ["c", "d"]}


def test_only_equal_texts_are_left_out(tmp_path: Path):
    corpus = files_corpus(tmp_path, ["a b", "A", "a", "a "], train=0, calibration=0.5, evaluation=0.5)
    collect_documents(corpus, "de", tmp_path / "x", {})
    assert collected(tmp_path / "x")["calibration"] == ["a b", "A"]


def test_bad_files_leave_no_corpus(tmp_path: Path):
    corpus = files_corpus(tmp_path, [], train=0, calibration=0.5, evaluation=0.5)
    with pytest.raises(UserError, match=r"de\.txt holds no text"):
        collect_documents(corpus, "de", tmp_path / "x", {})
    assert not (tmp_path / "x").exists()


def test_the_demo_corpus_has_splits_without_common_texts_and_the_same_bytes_twice(tmp_path: Path):
    counts = DemoDocuments(train=60, calibration=40, evaluation=40)
    corpus = DemoCorpus(kind="demo", languages=["sw", "zh"], documents=counts)
    for name in "ab":
        collect_documents(corpus, "zh", tmp_path / name, {"code": "abc"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    splits = collected(tmp_path / "a")
    assert len(splits["evaluation"]) == 40
    assert 30 <= len(splits["calibration"]) <= 40
    assert not set(splits["evaluation"]) & {*splits["train"], *splits["calibration"]}
    assert metadata(tmp_path / "a")["documents"] == {split: len(texts) for split, texts in splits.items()}
    collect_documents(corpus, "sw", tmp_path / "sw", {})
    assert collected(tmp_path / "sw") != splits


def test_text_that_only_repeats_itself_leaves_nothing_and_is_refused(tmp_path: Path):
    corpus = files_corpus(tmp_path, ["a"] * 4, train=0, calibration=0.5, evaluation=0.5)
    with pytest.raises(UserError, match="de: all 2 documents of calibration stand in evaluation, too, word for word"):
        collect_documents(corpus, "de", tmp_path / "x", {})
    assert not (tmp_path / "x").exists()
