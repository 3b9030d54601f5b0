"""Digests of outside files: read once, and again as soon as a file may be another."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from polyprune.artifacts import known_digests
from polyprune.artifacts.known_digests import known_digest

LONG_AGO = time.time() - 3600


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of what is remembered; files of these tests count as at rest at once."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(known_digests, "_SETTLED", -1.0)
    return tmp_path / "cache/polyprune/digests"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"weights")
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are read whole from now on."""
    names: list[str] = []
    digest_of = known_digests.file_digest

    def counted(path: Path) -> str:
        names.append(path.name)
        return digest_of(path)

    monkeypatch.setattr(known_digests, "file_digest", counted)
    return names


def test_what_is_unchanged_is_read_once(file: Path, reads: list[str]) -> None:
    wanted = hashlib.sha256(b"weights").hexdigest()
    assert [known_digest(file) for _ in range(3)] == [wanted] * 3
    assert len(reads) == 1
    os.utime(file)
    assert [known_digest(file) for _ in range(3)] == [wanted] * 3
    assert len(reads) == 2


def test_a_copy_and_a_moved_file_cost_one_reading_each(file: Path, reads: list[str]) -> None:
    before = known_digest(file)
    copied = Path(shutil.copy2(file, file.with_name("copy")))
    moved = file.rename(file.with_name("moved"))
    for path in (copied, moved):
        assert [known_digest(path) for _ in range(2)] == [before] * 2
    file.symlink_to(moved)
    assert known_digest(file) == before
    assert reads == ["model.safetensors", "copy", "moved"]


def test_another_content_of_the_same_size_and_times_is_seen(file: Path) -> None:
    """As `cp --preserve` leaves it: the inode's own time tells."""
    before, old = known_digest(file), file.stat()
    file.write_bytes(b"WEIGHTS")
    os.utime(file, ns=(old.st_atime_ns, old.st_mtime_ns))
    assert known_digest(file) == hashlib.sha256(b"WEIGHTS").hexdigest() != before


def test_a_file_in_anothers_place_is_seen(file: Path) -> None:
    known_digest(file)
    other = file.with_name("other")
    other.write_bytes(b"WEIGHTS")
    os.utime(other, (LONG_AGO, LONG_AGO))
    other.replace(file)
    assert known_digest(file) == hashlib.sha256(b"WEIGHTS").hexdigest()


def test_a_file_written_a_moment_ago_is_read_again(
    file: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its times do not tell it from what is written into it within their resolution."""
    monkeypatch.setattr(known_digests, "_SETTLED", 2.0)
    for _ in range(2):
        known_digest(file)
    assert len(reads) == 2


def test_a_part_of_a_file_has_a_memory_of_its_own(file: Path, memory: Path) -> None:
    taken: list[Path] = []

    def first_byte(file: Path) -> str:
        taken.append(file)
        return hashlib.sha256(file.read_bytes()[:1]).hexdigest()

    whole = known_digest(file)
    for _ in range(2):
        assert known_digest(file, first_byte) == hashlib.sha256(file.read_bytes()[:1]).hexdigest()
        assert known_digest(file) == whole
    assert len(taken) == 1 and len(list(memory.iterdir())) == 2


@pytest.mark.parametrize("damage", ["", "x y", "x y z", f"{'0' * 16}\n{'0' * 64}\n", "\ud800"])
def test_a_damaged_memory_is_no_memory(file: Path, memory: Path, damage: str) -> None:
    before = known_digest(file)
    (kept,) = memory.iterdir()
    kept.write_bytes(damage.encode("utf-8", "surrogatepass"))
    assert known_digest(file) == before


def test_where_nothing_can_be_remembered_files_are_read_each_time(
    file: Path, reads: list[str], memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_home() -> Any:
        raise RuntimeError("Could not determine home directory.")

    memory.parent.parent.mkdir()
    memory.parent.write_text("a file where the folder belongs")
    for _ in range(2):
        known_digest(file)
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", no_home)
    for _ in range(2):
        known_digest(file)
    assert len(reads) == 4
