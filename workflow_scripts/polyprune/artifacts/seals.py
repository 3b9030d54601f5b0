"""Digests of content, so that damage is noticed when a file is read: XXH3-128, which reads faster than any disk.

Every artifact has a seal: the digest of what the seal covers, taken while the seal's own place was blank.

    JSON, parquet    an entry `seal`, in the object or the footer's metadata; covers the whole file
    safetensors      an entry `seal` in the header's metadata; covers the header, which has a digest of every tensor
    HDF5             an attribute `seal` of the root; covers the attribute `index`: all attributes, shapes, types, and
                     among the attributes a digest of every dataset, or of each of its layers (`artifacts/hdf5.py`)

So a file that is read whole is checked whole, and one that is read in part is checked in that part. A digest of this
kind is proof against accidents, not against somebody who means harm.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import xxhash

from polyprune.artifacts.identity import DamagedError, again
from polyprune.errors import UserError

if TYPE_CHECKING:
    from typing_extensions import Buffer

PREFIX = "polyprune-seal:"
BLANK = PREFIX + "0" * 32
"""What stands where the seal will be, exactly once in the file, until `seal` is called."""
_PIECE = 1 << 20
_PARQUET, _JSON = b"PAR1", b"{"
_SMALLEST = 12
"""Bytes; anything shorter is neither of the formats."""


def digest_of(data: Buffer) -> str:
    """XXH3-128 of some bytes, 32 hex digits."""
    return xxhash.xxh3_128_hexdigest(data)


def digest_of_file(path: Path) -> str:
    """XXH3-128 of a whole file, 32 hex digits."""
    state, piece = xxhash.xxh3_128(), memoryview(bytearray(min(_PIECE, path.stat().st_size)))
    with path.open("rb", buffering=0) as stream:
        while read := stream.readinto(piece):
            state.update(piece[:read])
    return state.hexdigest()


def seal(path: Path) -> None:
    """Put the digest of a finished file in the place of its blank seal."""
    with path.open("rb+") as stream:
        at, covered = _find(stream, path)
        if stream.seek(at) and stream.read(len(BLANK)) != BLANK.encode():
            raise ValueError(f"the header of {path} holds the seal of another file")
        found = _digest(stream, at, covered)
        stream.seek(at)
        stream.write((PREFIX + found).encode())


def require_seal(path: Path) -> None:
    """Compare a file's seal with its content.

    Raises:
        UserError: the file cannot be read at present.
        DamagedError: seal and content differ, or there is no seal.
    """
    try:
        with path.open("rb") as stream:
            at, covered = _find(stream, path)
            written, found = _written(stream, at), _digest(stream, at, covered)
    except OSError as error:
        raise unreadable(path, error) from error
    if found != written:
        raise DamagedError(f"{path} is damaged: its content has digest {found}, its seal says {written}; {again(path)}")


def written_seal(path: Path) -> str:
    """What a JSON, parquet or safetensors file says is its digest; nothing is compared.

    Raises:
        OSError: the file cannot be read.
        DamagedError: it says nothing.
    """
    with path.open("rb") as stream:
        return _written(stream, _find(stream, path)[0])


def unreadable(path: Path, error: OSError) -> UserError:
    """What to say of a file that the system does not let us read: the file itself may be whole."""
    if isinstance(error, FileNotFoundError):
        return UserError(f"{path} does not exist")
    if isinstance(error, IsADirectoryError | NotADirectoryError):
        there = path if path.is_dir() else next(parent for parent in path.parents if parent.exists())
        found, wanted = ("folder", "file") if path.is_dir() else ("file", "folder")
        return UserError(f"{there} is a {found} and should be a {wanted}: move it away, then {path} can be made")
    reason = error.strerror or str(error)
    return UserError(
        f"{path} cannot be read at present ({reason}), which says nothing against its content: see to the disk and to "
        "the file's permissions, and run again"
    )


def _written(stream: BinaryIO, at: int) -> str:
    stream.seek(at + len(PREFIX))
    return stream.read(len(BLANK) - len(PREFIX)).decode(errors="replace")


def _find(stream: BinaryIO, path: Path) -> tuple[int, int]:
    """Where the seal stands, and how many bytes from the start it covers."""
    size = stream.seek(0, os.SEEK_END)
    first, covered = _header(stream, size)
    stream.seek(first)
    place = stream.read(covered - first).find(PREFIX.encode())
    if place < 0 or first + place + len(BLANK) > covered:
        raise DamagedError(
            f"{path} has no seal: it was made by an earlier version of this program, or it is damaged; {again(path)}"
        )
    return first + place, covered


def _header(stream: BinaryIO, size: int) -> tuple[int, int]:
    """First byte of the part with the seal, and how many bytes from the start of the file the seal covers."""
    if size < _SMALLEST:
        return 0, size
    stream.seek(0)
    start = stream.read(8)
    if start.startswith(_PARQUET):
        stream.seek(size - 8)
        footer = 8 + int.from_bytes(stream.read(4), "little")
        return max(0, size - footer), size
    if start.startswith(_JSON):
        return 0, size
    return 0, min(size, 8 + int.from_bytes(start, "little"))


def _digest(stream: BinaryIO, at: int, covered: int) -> str:
    state = xxhash.xxh3_128()
    for piece in _pieces(stream, 0, at):
        state.update(piece)
    state.update(BLANK.encode())
    for piece in _pieces(stream, at + len(BLANK), covered):
        state.update(piece)
    return state.hexdigest()


def _pieces(stream: BinaryIO, first: int, last: int) -> Iterator[bytes]:
    stream.seek(first)
    while first < last and (piece := stream.read(min(_PIECE, last - first))):
        first += len(piece)
        yield piece
