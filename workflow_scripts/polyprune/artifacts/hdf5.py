"""What all our HDF5 files share: a header, digests, a seal; same content, same bytes.

Root attributes are the header: who the file is (`artifacts/identity.py`), what it is of (`model/variant.py` lists
them), and `provenance`, which is JSON and says how it was made. Two are for the program: `index`, all other root
attributes and every dataset's shape, type, attributes and digests as canonical JSON, and `seal`, the digest of `index`
(`artifacts/seals.py`), which is set last, so that a file without one is unfinished. Reading goes by the index alone,
and it is written from what was given, not from what HDF5 says of the file: an attribute takes HDF5 as long as a digest
of 200 kB. Whether the others are what it says, `check` compares.

Digests are the XXH3-128 of a dataset's bytes, little-endian and row by row: one of the whole, or, of a dataset with an
attribute `axis`, one for each index along this axis, so that layers can be read and checked one by one. Text is
digested with a zero byte after each entry.

No timestamps: datasets are made with `create_dataset`, because assignment (`file["a/b"] = …`) would store the time at
which a group was made. Finished files are opened without locks: nobody writes them any more, and some file systems have
none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from polyprune.artifacts.atomic import atomic_write
from polyprune.artifacts.identity import DamagedError, Header, again, introduced, require
from polyprune.artifacts.seals import digest_of, unreadable
from polyprune.errors import UserError
from polyprune.provenance import canonical_json

if TYPE_CHECKING:
    from typing_extensions import Buffer


Attributes = Mapping[str, str | int | bool | Mapping[str, object]]
"""Root attributes by name; mappings are stored as JSON."""
_JSON = "provenance"
_INDEX = ("attributes", "datasets", "digests")


class _PatientFile(FileIO):
    """A file for HDF5 to write to that keeps a full disk to itself: told of it, HDF5 crashes when it closes the file.

    What does not fit is dropped; `error` says so.
    """

    error: OSError | None = None

    def write(self, data: Buffer, /) -> int:
        rest = memoryview(data)
        size = len(rest)
        try:
            while rest:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.error = error
        return size


class _NewFile(h5py.File):
    """A file that is being written to a stream."""

    def __init__(self, stream: _PatientFile) -> None:
        super().__init__(stream, "w", libver="v110", track_order=False)
        self._stream = stream

    def flush(self) -> None:
        """Hand everything on to the disk. Raises `OSError` if it was full at that, or before."""
        super().flush()
        if self._stream.error:
            raise self._stream.error


class Hdf5Writer:
    """A file that is being written; keeps the digests of what is written."""

    def __init__(self, file: h5py.File, attributes: Header) -> None:
        self._file = file
        self._index: dict[str, Any] = {"attributes": attributes, "datasets": {}, "digests": {}}
        self._filled: dict[str, h5py.Dataset] = {}
        for name, value in attributes.items():
            file.attrs[name] = value

    def store(self, name: str, data: np.ndarray, unit: str | None = None) -> None:
        """A whole dataset."""
        dataset = self._file.create_dataset(name, data=data)
        self._describe(name, dataset, {} if unit is None else {"unit": unit}, [_digest(data)])

    def create(
        self,
        name: str,
        shape: tuple[int, ...],
        kind: Any,
        axis: int,
        about: Mapping[str, str],
        **options: Any,
    ) -> None:
        """A dataset to be filled by `write`, index by index along `axis`; `about` are attributes, such as `unit`."""
        dataset = self._filled[name] = self._file.create_dataset(name, shape, kind, **options)
        self._describe(name, dataset, {**about, "axis": axis}, [""] * shape[axis])

    def write(self, name: str, index: int, values: np.ndarray) -> None:
        """All that a dataset has at one index of its axis."""
        dataset, (_, _, about) = self._filled[name], self._index["datasets"][name]
        values = np.asarray(values, dataset.dtype)
        dataset[_at(about["axis"], index)] = values
        self._index["digests"][name][index] = _digest(values)

    def _describe(self, name: str, dataset: h5py.Dataset, about: Mapping[str, Any], digests: list[str]) -> None:
        for entry, value in about.items():
            dataset.attrs[entry] = value
        self._index["datasets"][name] = [list(dataset.shape), dataset.dtype.str, about]
        self._index["digests"][name] = digests

    def flush(self) -> None:
        """Hand everything on to the disk. Raises `OSError` if it was full at that, or before."""
        self._file.flush()

    def finish(self) -> None:
        """Set index and seal. Raises `ValueError` if a dataset was not filled."""
        for name, digests in self._index["digests"].items():
            if not all(digests):
                raise ValueError(f"{name} was written at {sum(map(bool, digests))} of {len(digests)} places")
        _seal(self._file, self._index)


@contextmanager
def create_hdf5(path: Path, schema: str, attributes: Attributes) -> Iterator[Hdf5Writer]:
    """A new file; it appears, whole and sealed, when the block ends without error.

    A full disk is noticed at every `flush`, so call it after each piece of work, and when the block ends.

    Raises:
        UserError: the disk is full or the quota used up.
    """
    with atomic_write(path) as part, _PatientFile(part, "wb+") as stream:
        try:
            about = sorted(introduced(path, schema, attributes).items())
            given = {
                name: canonical_json(value) if isinstance(value, Mapping) else value
                for name, value in about
                if value is not None
            }
            with _NewFile(stream) as file:
                writer = Hdf5Writer(file, given)
                yield writer
                writer.finish()
        finally:
            if stream.error:
                raise stream.error


class Hdf5Reader:
    """A finished file; what is read is compared with its digest. Use as a context manager."""

    def __init__(self, path: Path, schema: str, expected: Header | None = None) -> None:
        """Raises `UserError` if the file is missing, damaged, unfinished, or not what was asked for."""
        self._open(path)
        try:
            require(path, self.header, schema, expected)
        except UserError:
            self._file.close()
            raise

    @classmethod
    def of_any_kind(cls, path: Path) -> Hdf5Reader:
        """A finished file whose schema and place nobody has compared yet."""
        reader = cls.__new__(cls)
        reader._open(path)
        return reader

    def _open(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb"):
                pass
            self._file = h5py.File(path, "r", locking=False)
        except OSError as error:
            raise self._complaint(error) from error
        try:
            text, self.seal = (str(self._file.attrs.get(name)) for name in ("index", "seal"))
            right = self.seal == digest_of(text.encode())
            self._index: dict[str, Any] = json.loads(text) if right else {name: {} for name in _INDEX}
            self.header, self._datasets = _header(self._index["attributes"]), self._index["datasets"]
        except Exception as error:  # h5py raises whatever a damaged file makes of it
            self._file.close()
            raise self._complaint(error) from error
        if not right:
            self._file.close()
            raise DamagedError(
                f"{path} has no seal that is right: it is damaged, unfinished, or of an earlier version of this "
                f"program; {again(path)}"
            )

    def __enter__(self) -> Hdf5Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def datasets(self) -> list[str]:
        """Names of all datasets."""
        return sorted(self._datasets)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._datasets[name][0])

    def members(self, group: str) -> list[str]:
        """Names of the datasets of a group."""
        return sorted(name.removeprefix(f"{group}/") for name in self._datasets if name.startswith(f"{group}/"))

    def whole(self, name: str) -> np.ndarray:
        """A whole dataset. Raises `UserError` if it is damaged."""
        shape, _, about = self._datasets[name]
        if "axis" not in about:
            return self._checked(name, None, 0)
        return np.stack([self.at(name, index) for index in range(shape[about["axis"]])], about["axis"])

    def at(self, name: str, index: int) -> np.ndarray:
        """What a dataset has at one index of its axis. Raises `UserError` if it is damaged."""
        return self._checked(name, _at(self._datasets[name][2]["axis"], index), index)

    def check(self) -> None:
        """Read everything, a layer at a time. Raises `UserError` if anything is damaged."""
        try:
            found = _as_it_is(self._file)
        except Exception as error:  # h5py raises whatever a damaged file makes of it
            raise self._complaint(error) from error
        if found != {name: self._index[name] for name in found}:
            raise DamagedError(f"{self.path} is damaged: its attributes are not those of its index; {again(self.path)}")
        for name in self.datasets:
            shape, _, about = self._datasets[name]
            if "axis" in about:
                for index in range(shape[about["axis"]]):
                    self.at(name, index)
            else:
                self.whole(name)

    def _checked(self, name: str, where: Any, number: int) -> np.ndarray:
        shape, kind, _ = self._datasets[name]
        try:
            dataset = h5py.h5d.open(self._file.id, name.encode())
            is_as_written = [list(dataset.shape), dataset.dtype.str] == [shape, kind]
            if where is None and dataset.dtype.kind != "O":  # in a fifth of the time that h5py's indexing takes
                values = np.empty(dataset.shape, dataset.dtype)
                dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, values)
            else:
                values = np.asarray(h5py.Dataset(dataset)[where or ()])
            right = is_as_written and _digest(values) == self._index["digests"][name][number]
        except Exception as error:  # h5py raises whatever a damaged file makes of it
            raise self._complaint(error) from error
        if not right:
            raise DamagedError(f"{self.path}: /{name} is damaged, its digest is another; {again(self.path)}")
        return values

    def _complaint(self, error: Exception) -> UserError:
        """HDF5 puts the system's errors into words; all others are about the content."""
        number = re.search(r"errno ?= ?(\d+)", str(error))
        if isinstance(error, OSError) and (error.errno is not None or number):
            return unreadable(self.path, error)
        return DamagedError(f"{self.path} cannot be read as HDF5 ({error}); {again(self.path)}")


def _seal(file: h5py.File, index: Header) -> None:
    file.attrs["index"] = text = canonical_json(index)
    file.attrs["seal"] = digest_of(text.encode())


def _at(axis: int, index: int) -> tuple[slice | int, ...]:
    return (*[slice(None)] * axis, index)


def _digest(values: np.ndarray) -> str:
    """XXH3-128 of an array's bytes, 32 hex digits."""
    if values.dtype.kind == "O":
        words = (word if isinstance(word, bytes) else str(word).encode() for word in values.flat)
        return digest_of(b"".join(word + b"\0" for word in words))
    if values.dtype.str[0] != ">" and values.flags.c_contiguous:
        return digest_of(values.data)
    return digest_of(np.ascontiguousarray(values, values.dtype.newbyteorder("<")).data)


def _header(attributes: Header) -> dict[str, Any]:
    """Root attributes as they were given."""
    return {name: json.loads(value) if name == _JSON else value for name, value in attributes.items()}


def _as_it_is(file: h5py.File) -> dict[str, Any]:
    """What the index says of a file, but for digests, as HDF5 says it."""
    about = {name: _plain(value) for name, value in file.attrs.items() if name not in ("index", "seal")}
    found: dict[str, h5py.Dataset] = {}
    file.visititems(lambda name, item: found.update({name: item}) if isinstance(item, h5py.Dataset) else None)
    datasets = {
        name: [list(dataset.shape), dataset.dtype.str, {key: _plain(value) for key, value in dataset.attrs.items()}]
        for name, dataset in found.items()
    }
    return {"attributes": about, "datasets": datasets}


def _plain(value: Any) -> Any:
    """An attribute as JSON has it."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
