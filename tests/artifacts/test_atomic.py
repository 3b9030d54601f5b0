"""Files appear whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from safetensors import SafetensorError

from polyprune.artifacts.atomic import atomic_write
from polyprune.errors import UserError


def test_a_file_appears_when_it_is_whole(tmp_path: Path):
    path = tmp_path / "new" / "folder" / "x.json"
    with atomic_write(path) as part:
        part.write_text("whole")
        assert part.parent == path.parent
        assert not path.exists()
    assert path.read_text() == "whole"
    assert os.listdir(path.parent) == ["x.json"]  # noqa: PTH208


@pytest.mark.parametrize("old", [None, "old"])
def test_a_failure_leaves_what_was_there(tmp_path: Path, old: str | None):
    path = tmp_path / "x.json"
    if old:
        path.write_text(old)
    with pytest.raises(KeyError, match="broken"), atomic_write(path) as part:
        part.write_text("half")
        raise KeyError("broken")
    assert [file.name for file in tmp_path.iterdir()] == (["x.json"] if old else [])
    assert not old or path.read_text() == old


def test_data_is_on_the_disk_before_the_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "x.json"
    synced: list[tuple[int, bool]] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append((os.fstat(fd).st_size, path.exists())))
    with atomic_write(path) as part:
        part.write_text("whole")
    assert synced == [(5, False)]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_explained(tmp_path: Path, error: Exception):
    path = tmp_path / "x.json"
    with pytest.raises(UserError) as refused, atomic_write(path) as part:
        part.write_text("half")
        raise error
    assert str(refused.value) == f"no space left for {path}: free some on its disk and run again; nothing was lost"
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_noticed_when_the_data_is_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="no space left for"), atomic_write(tmp_path / "x") as part:
        part.write_text("whole")
    assert list(tmp_path.iterdir()) == []


def test_other_errors_of_the_system_stay_as_they_are(tmp_path: Path):
    with pytest.raises(PermissionError), atomic_write(tmp_path / "x"):
        raise PermissionError(errno.EACCES, "Permission denied")
