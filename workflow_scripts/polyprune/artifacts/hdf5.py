"""What all our HDF5 files share: schema, attributes, a mark that they are complete; same content, same bytes.

Root attributes say what a file is of (`model/variant.py` lists them); `provenance` is JSON and says how it was made.
No timestamps: datasets are made with `create_dataset`, because assignment (`file["a/b"] = …`) would store the time at
which a group was made. `complete` is set last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

import h5py

from polyprune.artifacts.atomic import atomic_write
from polyprune.errors import UserError
from polyprune.provenance import canonical_json

if TYPE_CHECKING:
    from typing_extensions import Buffer


Attributes = Mapping[str, str | int | bool | Mapping[str, object]]
"""Root attributes by name; mappings are stored as JSON."""


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


@contextmanager
def create_hdf5(path: Path, schema: str, attributes: Attributes) -> Iterator[h5py.File]:
    """A new file; it appears, whole and marked complete, when the block ends without error.

    A full disk is noticed at every `flush`, so call it after each piece of work, and when the block ends.

    Raises:
        UserError: the disk is full or the quota used up.
    """
    with atomic_write(path) as part, _PatientFile(part, "wb+") as stream:
        try:
            with _NewFile(stream) as file:
                file.attrs["schema"] = schema
                for name, value in sorted(attributes.items()):
                    file.attrs[name] = canonical_json(value) if isinstance(value, Mapping) else value
                yield file
                file.attrs["complete"] = True
        finally:
            if stream.error:
                raise stream.error


def open_hdf5(path: Path, schema: str) -> h5py.File:
    """A finished file, for reading.

    Raises:
        UserError: missing, damaged, unfinished or of another schema.
    """
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise UserError(f"{path} cannot be read as HDF5 ({error}); delete it and run again") from error
    if file.attrs.get("schema") != schema or not file.attrs.get("complete", False):
        file.close()
        raise UserError(f"{path} is not a finished file of schema {schema}; delete it and run again")
    return file
