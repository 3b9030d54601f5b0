"""What the header of an artifact says, whichever kind it is of: who it is and what it was made with.

For those who look at files without wanting what is in them: `make verify`, and the plan of a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polyprune.artifacts import exports
from polyprune.artifacts.hdf5 import Hdf5Reader
from polyprune.artifacts.identity import Header, require
from polyprune.artifacts.json_files import read_json
from polyprune.artifacts.seals import require_seal, written_seal
from polyprune.artifacts.tables import header_of, open_sealed_table
from polyprune.artifacts.tensors import TensorReader
from polyprune.errors import UserError

EXPORT = "export"
"""The folder of an export, which is asked for by its config.json."""
_PROVENANCE = "provenance"


def read_any_header(path: Path) -> dict[str, Any] | None:
    """The header of a whole artifact in its own place; None for a file of a kind that has none.

    Of an export, by its config.json, it is that of the record beside. Content that is read in parts is not looked at.

    Raises:
        UserError: missing, damaged, in another's place, or it cannot be read at present.
    """
    file = path.with_name(exports.RECORD) if path.parent.name.partition("-")[0] == EXPORT else path
    header = _header_of(file)
    return None if header is None else require(file, header, header["schema"])


def _header_of(path: Path) -> dict[str, Any] | None:
    match path.suffix:
        case ".parquet":
            with open_sealed_table(path) as file:
                return header_of(file)
        case ".safetensors":
            return TensorReader.of_any_kind(path).header
        case ".h5":
            with Hdf5Reader.of_any_kind(path) as file:
                return file.header
        case ".json":
            require_seal(path)
            return read_json(path)
    return None


def seal_of(path: Path) -> str | None:
    """The digest that an artifact has in it, read in no time; None of what has none. Content is not looked at."""
    try:
        if path.suffix == ".h5":
            with Hdf5Reader.of_any_kind(path) as file:
                return file.seal
        return written_seal(path) if path.suffix in (".parquet", ".safetensors", ".json") else None
    except (OSError, UserError):
        return None


def settings_in(header: Header) -> Header:
    """The part of a header that says what its job was told: measurements, manifests and exports have it apart."""
    found = header.get(EXPORT, header.get(_PROVENANCE, header))
    return found if isinstance(found, Mapping) else header
