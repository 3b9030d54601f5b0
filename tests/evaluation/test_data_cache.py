"""Benchmarks on file systems without locks."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path

import datasets
import pytest

from polyprune.evaluation.data_cache import data_cache, has_locks


def load(folder: Path, cache: Path) -> list[int]:
    files = str(folder / "x.jsonl")
    return list(datasets.load_dataset("json", data_files=files, cache_dir=str(cache), split="train")["a"])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "x.jsonl").write_text('{"a": 1}\n{"a": 2}\n')
    return tmp_path


def without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuses)


def test_the_shared_folder_is_used_where_it_has_locks(data: Path):
    with data_cache(data / "cache") as cache:
        assert cache == data / "cache" and load(data, cache) == [1, 2]
    assert list((data / "cache").rglob("*.arrow")) and not list((data / "cache").glob(".lock-*"))


def test_data_are_read_where_there_are_no_locks(data: Path, monkeypatch: pytest.MonkeyPatch):
    before = datasets.builder.FileLock
    without_locks(monkeypatch)
    assert not has_locks(data / "cache")
    with pytest.raises(OSError, match="No locks available"):
        load(data, data / "cache")
    with data_cache(data / "cache") as cache:
        assert cache != data / "cache" and load(data, cache) == [1, 2]
    assert not cache.exists() and datasets.builder.FileLock is before
