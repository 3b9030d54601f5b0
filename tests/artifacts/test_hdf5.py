"""HDF5 files on a full disk."""

from __future__ import annotations

from io import FileIO
from pathlib import Path

import numpy as np
import pytest

from polyprune.artifacts import hdf5
from polyprune.artifacts.hdf5 import create_hdf5, open_hdf5
from polyprune.errors import UserError


def write(path: Path, n: int = 20) -> None:
    with create_hdf5(path, "test/1", {}) as file:
        for index in range(n):
            file.create_dataset(f"data/{index}", data=np.arange(1000), chunks=True, compression="gzip")


@pytest.mark.parametrize("room", [0, 1, 3000, 20_000])
def test_a_full_disk_is_named_whenever_it_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    """HDF5 itself ends the process with a segmentation fault."""

    class FullDisk(FileIO):
        def write(self, data, /) -> int:
            if self.tell() >= room:
                raise OSError(28, "No space left on device")
            return super().write(memoryview(data)[: room - self.tell()])

    class PatientFile(hdf5._PatientFile, FullDisk):
        pass

    monkeypatch.setattr(hdf5, "_PatientFile", PatientFile)
    with pytest.raises(UserError, match=r"no space left for .*x\.h5: free some"):
        write(tmp_path / "x.h5")
    assert list(tmp_path.iterdir()) == []


def test_with_room_the_file_is_whole(tmp_path: Path) -> None:
    write(tmp_path / "x.h5")
    with open_hdf5(tmp_path / "x.h5", "test/1") as file:
        assert all((np.asarray(file[f"data/{index}"]) == np.arange(1000)).all() for index in range(20))
