"""HDF5 files on a full disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path

import numpy as np
import pytest

from polyprune.artifacts import hdf5
from polyprune.artifacts.activations import MATRICES, NEURONS, LayerActivations, write_activations
from polyprune.artifacts.hdf5 import Hdf5Reader, create_hdf5
from polyprune.artifacts.layer_rows import MEANS, write_rows
from polyprune.errors import UserError


def write(path: Path, n: int = 20) -> None:
    with create_hdf5(path, "test/1", {}) as file:
        for index in range(n):
            file.store(f"data/{index}", np.arange(1000))


def limit_disk(monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    """Files have at most `room` bytes."""

    class FullDisk(FileIO):
        def write(self, data, /) -> int:
            if self.tell() >= room:
                raise OSError(28, "No space left on device")
            return super().write(memoryview(data)[: room - self.tell()])

    class PatientFile(hdf5._PatientFile, FullDisk):
        pass

    monkeypatch.setattr(hdf5, "_PatientFile", PatientFile)


@pytest.mark.parametrize("room", [0, 1, 3000, 20_000])
def test_a_full_disk_is_named_whenever_it_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    """HDF5 itself ends the process with a segmentation fault."""
    limit_disk(monkeypatch, room)
    with pytest.raises(UserError, match=r"no space left for .*x\.h5: free some"):
        write(tmp_path / "x.h5")
    assert list(tmp_path.iterdir()) == []


def write_layers(path: Path) -> Iterator[int]:
    """Activations of eight layers; says after each that it was written."""
    rng = np.random.default_rng(0)
    with write_activations(path, 8, np.array([4]), {}) as writer:
        for layer in range(8):
            neurons = {name: rng.random((1, 5000)).astype(kind) for name, kind in NEURONS.items()}
            writer.write_layer(layer, LayerActivations(neurons, {name: rng.random((2, 700)) for name in MATRICES}))
            yield layer


def write_dump(path: Path) -> Iterator[int]:
    """Means of eight rows; says after each that it was written."""
    with write_rows(path, "test/1", 6, 5000, np.array([4, 4]), {}) as writer:
        for row in range(8):
            writer.write_row(MEANS, row, np.ones((2, 5000), np.float32))
            yield row


@pytest.mark.parametrize("written", [write_layers, write_dump])
@pytest.mark.parametrize("room", [20_000, 130_000, 200_000])
def test_a_full_disk_ends_a_pass_at_the_layer_that_does_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: Callable[[Path], Iterator[int]], room: int
) -> None:
    limit_disk(monkeypatch, room)
    done: list[int] = []
    with pytest.raises(UserError, match="no space left"):
        done.extend(written(tmp_path / "x.h5"))
    assert len(done) < 7
    assert list(tmp_path.iterdir()) == []


def test_with_room_the_file_is_whole(tmp_path: Path) -> None:
    write(tmp_path / "x.h5")
    with Hdf5Reader(tmp_path / "x.h5", "test/1") as file:
        assert all((file.whole(f"data/{index}") == np.arange(1000)).all() for index in range(20))
