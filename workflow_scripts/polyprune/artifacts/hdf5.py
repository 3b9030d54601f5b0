"""What all our HDF5 files share: schema, provenance, a mark that they are complete; same content, same bytes.

Datasets are made with `create_dataset`: assignment (`file["a/b"] = …`) would store the time at which a group was made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from polyprune.artifacts.atomic import atomic_write
from polyprune.errors import UserError
from polyprune.provenance import canonical_json


@contextmanager
def create_hdf5(path: Path, schema: str, provenance: Mapping[str, Any]) -> Iterator[h5py.File]:
    """A new file; it appears, whole and marked complete, when the block ends without error."""
    with atomic_write(path) as part, h5py.File(part, "w", libver="v110", track_order=False) as file:
        file.attrs["schema"] = schema
        file.attrs["provenance"] = canonical_json(provenance)
        yield file
        file.attrs["complete"] = True


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
