"""HDF5 files on a full disk."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xxhash

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


def test_a_finished_file_is_read_while_somebody_holds_a_lock(tmp_path: Path) -> None:
    """A backup does; and where a file system has none, HDF5 must not ask for one."""
    write(tmp_path / "x.h5")
    with (tmp_path / "x.h5").open("rb") as backup:
        fcntl.flock(backup, fcntl.LOCK_EX)
        with pytest.raises(OSError, match=r"errno = 11|errno=11"):
            h5py.File(tmp_path / "x.h5", "r", locking=True)
        with Hdf5Reader(tmp_path / "x.h5", "test/1") as file:
            file.check()


@pytest.mark.parametrize("name", ["layered", "whole", "text"])
def test_a_changed_value_is_noticed_where_it_is_read(tmp_path: Path, name: str) -> None:
    """The digests are of values: written by another program, in a file that HDF5 finds nothing wrong with."""
    path = tmp_path / "x.h5"
    with create_hdf5(path, "test/1", {}) as file:
        file.create("layered", (2, 3, 4), np.float32, axis=1, about={"unit": "1"})
        for index in range(3):
            file.write("layered", index, np.full((2, 4), index))
        file.store("whole", np.arange(5), "token")
        file.store("text", np.array(["a", "ä"], dtype=h5py.string_dtype()))
    with h5py.File(path, "a") as file:
        place = {"layered": (1, 2, 3), "whole": 2, "text": 1}[name]
        dataset: Any = file[name]
        dataset[place] = "b" if name == "text" else 77
    with Hdf5Reader(path, "test/1") as file:
        file.at("layered", 0)
        with pytest.raises(UserError, match=rf"x\.h5: /{name} is damaged, .*; delete it and make it again"):
            file.check()
        with pytest.raises(UserError, match=rf"/{name} is damaged"):
            file.whole(name)


def test_attributes_that_are_not_the_index_s_are_nobody_s_and_found_by_a_check(tmp_path: Path) -> None:
    """Readers go by the index; a person who looks into the file is to see the same."""
    path = tmp_path / "x.h5"
    with create_hdf5(path, "test/1", {"model": "m"}) as file:
        file.store("data", np.arange(5), "token")
    for place, name in (("/", "model"), ("data", "unit")):
        with h5py.File(path, "a") as file:
            kept = file[place].attrs[name]
            file[place].attrs[name] = "another"
        with Hdf5Reader(path, "test/1") as file:
            assert file.header["model"] == "m" and file.whole("data").tolist() == [0, 1, 2, 3, 4]
            with pytest.raises(UserError, match=r"x\.h5 is damaged: its attributes are not those of its index"):
                file.check()
        with h5py.File(path, "a") as file:
            file[place].attrs[name] = kept
    with Hdf5Reader(path, "test/1") as file:
        file.check()


@pytest.mark.parametrize("what", ["shape", "type", "missing"])
def test_a_dataset_that_is_not_the_index_s_is_damaged(tmp_path: Path, what: str) -> None:
    """Though its bytes may be the same ones."""
    path, data = tmp_path / "x.h5", np.arange(6, dtype="<i4")
    with create_hdf5(path, "test/1", {}) as file:
        file.store("data", data)
    with h5py.File(path, "a") as file:
        del file["data"]
        if what != "missing":
            file["data"] = data.reshape(2, 3) if what == "shape" else data.view("<u4")
    with Hdf5Reader(path, "test/1") as file, pytest.raises(UserError, match=r"x\.h5.*; delete it and make it again"):
        file.whole("data")


def test_digests_are_those_of_the_documented_bytes(tmp_path: Path) -> None:
    path, layers = tmp_path / "x.h5", np.arange(24, dtype=">f4").reshape(2, 3, 4)
    with create_hdf5(path, "test/1", {}) as file:
        file.create("layered", (2, 3, 4), np.float32, axis=1, about={"unit": "1"})
        for index in range(3):
            file.write("layered", index, layers[:, index])
        file.store("text", np.array(["a", "ä"], dtype=h5py.string_dtype()))
    with h5py.File(path) as file:
        index: Any = json.loads(str(file.attrs["index"]))
    assert index["digests"] == {
        "layered": [xxhash.xxh3_128_hexdigest(layers[:, i].astype("<f4").tobytes()) for i in range(3)],
        "text": [xxhash.xxh3_128_hexdigest("a\0ä\0".encode())],
    }


def test_a_dataset_that_was_not_filled_is_not_finished(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="layered was written at 1 of 3 places"),
        create_hdf5(tmp_path / "x.h5", "test/1", {}) as file,
    ):
        file.create("layered", (3, 4), np.float32, axis=0, about={"unit": "1"})
        file.write("layered", 1, np.zeros(4))
    assert list(tmp_path.iterdir()) == []
