"""Files appear whole or not at all."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors import SafetensorError
from safetensors.numpy import save_file

from polyprune.artifacts.atomic import atomic_write, share
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
    with pytest.raises(OSError, match="Input/output error"), atomic_write(tmp_path / "x"):
        raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.EACCES, "cannot be written"),
        (errno.EROFS, "cannot be written"),
        (errno.EFBIG, "larger than a file may be"),
    ],
)
def test_what_may_not_be_written_is_explained(code: int, said: str, tmp_path: Path):
    with pytest.raises(UserError, match=rf"x (is )?{said}.*nothing was lost$"), atomic_write(tmp_path / "x"):
        raise OSError(code, os.strerror(code))
    assert not list(tmp_path.iterdir())


@pytest.fixture
def umask():
    before = os.umask(0o027)
    yield 0o027
    os.umask(before)


def test_files_have_the_permissions_that_the_umask_gives(tmp_path: Path, umask: int):
    """Whatever writes them: safetensors puts a file of mode 0600 in the place of the one that it is given."""
    path = tmp_path / "x.safetensors"
    with atomic_write(path) as part:
        save_file({"a": np.zeros(3)}, part)
        assert part.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_folder_that_another_library_wrote_is_shared(tmp_path: Path, umask: int):
    save_file({"a": np.zeros(3)}, tmp_path / "model.safetensors")
    (tmp_path / "below").mkdir(mode=0o750)
    share(tmp_path)
    assert [file.name for file in sorted(tmp_path.iterdir())] == ["below", "model.safetensors"]
    assert (tmp_path / "model.safetensors").stat().st_mode & 0o777 == 0o666 & ~umask
    assert (tmp_path / "below").stat().st_mode & 0o777 == 0o750


def test_writers_of_one_file_do_not_disturb_each_other(tmp_path: Path):
    path = tmp_path / "x"
    with atomic_write(path) as first:
        first.write_text("first")
        with atomic_write(path) as second:
            second.write_text("second")
        assert first != second and path.read_text() == "second"
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def killed(path: Path) -> None:
    """A process that dies while it writes."""
    code = f"""
import os, signal
from pathlib import Path
from polyprune.artifacts.atomic import atomic_write
with atomic_write(Path({str(path)!r})) as part:
    part.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})


def test_what_a_killed_writer_left_goes_when_the_file_is_next_written(tmp_path: Path):
    path = tmp_path / "x[1]"
    killed(path)
    (left,) = tmp_path.iterdir()
    with atomic_write(tmp_path / "y") as part:
        part.write_text("of another file")
    assert left.exists()
    with atomic_write(path) as part:
        assert not left.exists()
        part.write_text("whole")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["x[1]", "y"]


@pytest.mark.parametrize(("age", "goes"), [(0, False), (86_000, False), (87_000, True)])
def test_what_another_machine_left_goes_after_a_day(tmp_path: Path, age: int, goes: bool):
    left = tmp_path / "x.0123456789abcdef-1-01234567.part"
    left.touch()
    then = time.time() - age
    os.utime(left, (then, then))
    with atomic_write(tmp_path / "x") as part:
        part.write_text("whole")
    assert left.exists() != goes
