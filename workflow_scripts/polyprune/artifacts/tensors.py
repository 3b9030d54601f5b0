"""safetensors files with one metadata entry, `polyprune`: the header, a JSON object.

The library's own writer keeps metadata in a hash map, so the order of several entries differs from run to run: one
entry makes the bytes reproducible. Reading needs `safetensors` alone. An artifact's header has, beside who it is
(`artifacts/identity.py`),

    digests   of each tensor by name: of its bytes, row by row
    seal      digest of the header, i.e. of names, shapes, types and all digests (`artifacts/seals.py`)

so that tensors can be read and checked one by one.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from polyprune.artifacts.atomic import atomic_write
from polyprune.artifacts.identity import DamagedError, Header, again, introduced, require
from polyprune.artifacts.seals import BLANK, digest_of, require_seal, seal, unreadable
from polyprune.errors import UserError
from polyprune.provenance import canonical_json

METADATA_KEY = "polyprune"
OF_THE_FILE = ("schema", "place", "digests", "seal")
"""Header entries about the file and its content; all others are its maker's."""


def save_arrays(path: Path, schema: str, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> None:
    """Write an artifact from arrays, atomically. Same content, same bytes."""
    ordered = {name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)}
    digests = {name: digest_of(array.tobytes()) for name, array in ordered.items()}
    with atomic_write(path) as part:
        save_file(ordered, part, metadata={METADATA_KEY: header_text(path, schema, about, digests)})
        seal(part)


def header_text(path: Path, schema: str, about: Mapping[str, Any], digests: Mapping[str, str]) -> str:
    """The metadata entry of an artifact, its seal still blank."""
    return canonical_json({**introduced(path, schema, about), "digests": dict(digests), "seal": BLANK})


class TensorReader:
    """An artifact, read tensor by tensor; each is compared with its digest."""

    def __init__(self, path: Path, schema: str, expected: Header | None = None, framework: str = "pt") -> None:
        """Raises `UserError` if the file is missing, damaged, or not what was asked for (`artifacts/identity.py`)."""
        self._read(path, framework)
        require(path, self.header, schema, expected)

    @classmethod
    def of_any_kind(cls, path: Path) -> TensorReader:
        """An artifact whose schema and place nobody has compared yet."""
        reader = cls.__new__(cls)
        reader._read(path, "numpy")
        return reader

    def _read(self, path: Path, framework: str) -> None:
        require_seal(path)
        self.path = path
        try:
            self._file = safe_open(path, framework=framework)
        except SafetensorError as error:
            raise DamagedError(f"{path} cannot be read as safetensors ({error}); {again(path)}") from error
        self.header: dict[str, Any] = read_metadata(self._file)
        self.digests: dict[str, str] = self.header["digests"]
        names = set(self._file.keys())
        if names != set(self.digests):
            raise DamagedError(f"{path} has tensors without digests, or digests without tensors; {again(path)}")

    @property
    def about(self) -> dict[str, Any]:
        """What the file's maker said of it."""
        return {name: value for name, value in self.header.items() if name not in OF_THE_FILE}

    def tensor(self, name: str) -> Any:
        """One tensor. Raises `UserError` if it is damaged."""
        try:
            found = self._file.get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise DamagedError(f"{self.path}: {name} cannot be read ({error}); {again(self.path)}") from error
        if digest_of(bytes_of(found)) != self.digests[name]:
            raise DamagedError(
                f"{self.path}: {name} is damaged, its digest is not that of the header; {again(self.path)}"
            )
        return found

    def check(self) -> None:
        """Read everything, a tensor at a time. Raises `UserError` if anything is damaged."""
        for name in self.digests:
            self.tensor(name)


def bytes_of(tensor: Any) -> Any:
    """The bytes of a contiguous array or tensor, without a copy."""
    if isinstance(tensor, np.ndarray):
        return tensor.reshape(-1).view(np.uint8)
    import torch

    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy()


def load_arrays(
    path: Path, schema: str, expected: Header | None = None
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """All arrays of an artifact and what its maker said of it; raises `UserError` like `TensorReader`."""
    reader = TensorReader(path, schema, expected, "numpy")
    return {name: reader.tensor(name) for name in reader.digests}, reader.about


def read_metadata(file: Any) -> dict[str, Any]:
    """The header of an open safetensors file; empty if another program wrote it."""
    return json.loads((file.metadata() or {}).get(METADATA_KEY, "{}"))


def open_tensors(path: Path, framework: str = "pt") -> Any:
    """`safe_open`, of any program's file, that says what to do about a missing or truncated one.

    Raises:
        UserError: missing, truncated or not a safetensors file.
    """
    try:
        return safe_open(path, framework=framework)
    except OSError as error:
        raise unreadable(path, error) from error
    except SafetensorError as error:
        raise UserError(
            f"{path} cannot be read as safetensors ({error}): it is truncated or damaged; fetch or make it again"
        ) from error


def concatenate(parts: Sequence[Path], path: Path, schema: str, about: Mapping[str, Any]) -> None:
    """Join artifacts into one without holding their tensors in memory.

    Tensors keep their order, by part, then by offset within the part, and their digests. Names must be distinct.
    """
    entries: dict[str, Any] = {}
    digests: dict[str, str] = {}
    starts, base = [], 0
    for file in parts:
        of_part, start = _read_header(file)
        digests |= json.loads(of_part.pop("__metadata__")[METADATA_KEY])["digests"]
        starts.append(start)
        for name, entry in _by_offset(of_part):
            if name in entries:
                raise ValueError(f"tensor {name} stands in two parts")
            first, last = entry["data_offsets"]
            entries[name] = {**entry, "data_offsets": [base + first, base + last]}
        base += file.stat().st_size - start
    header = {"__metadata__": {METADATA_KEY: header_text(path, schema, about, digests)}, **entries}
    with atomic_write(path) as part:
        with part.open("wb") as out:
            out.write(_header_bytes(header))
            for file, start in zip(parts, starts, strict=True):
                with file.open("rb") as stream:
                    stream.seek(start)
                    shutil.copyfileobj(stream, out, 16 << 20)
        seal(part)


_BYTES = {"F16": 2, "BF16": 2, "F32": 4}


@dataclass(frozen=True)
class Changes:
    """What is otherwise in a copy of a file: dtypes and shapes of tensors, and names; None leaves a tensor out."""

    dtypes: Mapping[str, str] = field(default_factory=dict)
    shapes: Mapping[str, Sequence[int]] = field(default_factory=dict)
    names: Mapping[str, str | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.dtypes or self.shapes or self.names)


def rewrite(
    source: Path, path: Path, replacement: Callable[[str], bytes | None], changes: Changes | None = None
) -> None:
    """Copy a safetensors file, tensor by tensor, with the bytes that `replacement` gives for some of them.

    The order stays as it is, and all else but for `changes`. One tensor is in memory at a time.
    """
    changes = changes or Changes()
    entries, start = _read_header(source)
    metadata = entries.pop("__metadata__", None)
    kept = {name: entry for name, entry in _by_offset(entries) if changes.names.get(name, name) is not None}
    made = _changed(kept, changes)
    named = {str(changes.names.get(name, name)): entry for name, entry in made.items()}
    header = {**({} if metadata is None else {"__metadata__": metadata}), **named}
    with source.open("rb") as stream, atomic_write(path) as part, part.open("wb") as out:
        out.write(_header_bytes(header) if changes else stream.read(start))
        for name, entry in kept.items():
            first, last = entry["data_offsets"]
            data = replacement(name)
            if data is None:
                stream.seek(start + first)
                data = stream.read(last - first)
            begin, end = made[name]["data_offsets"]
            if len(data) != end - begin:
                raise ValueError(f"{source}: tensor {name} has {end - begin} bytes, its replacement {len(data)}")
            out.write(data)


def data_size(path: Path) -> int:
    """Bytes of all tensors of a safetensors file."""
    return path.stat().st_size - _read_header(path)[1]


def _changed(entries: Mapping[str, Any], changes: Changes) -> dict[str, Any]:
    """Header entries, by offset, with other dtypes and shapes for some and the offsets that follow."""
    made, place = {}, 0
    for name, entry in entries.items():
        first, last = entry["data_offsets"]
        dtype, shape = changes.dtypes.get(name, entry["dtype"]), list(changes.shapes.get(name, entry["shape"]))
        as_it_was = (dtype, shape) == (entry["dtype"], entry["shape"])
        size = last - first if as_it_was else math.prod(shape) * _BYTES[dtype]
        made[name] = {**entry, "dtype": dtype, "shape": shape, "data_offsets": [place, place + size]}
        place += size
    return made


def _header_bytes(header: Mapping[str, Any]) -> bytes:
    """A file's beginning: the length of the header and the header."""
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _by_offset(entries: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from sorted(entries.items(), key=lambda item: item[1]["data_offsets"])


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    """Header entries and the offset at which tensor data starts."""
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        return json.loads(stream.read(length)), 8 + length
