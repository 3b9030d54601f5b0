"""The beginning of a GGUF file: what it says of the model before its tensors.

Layout (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md): magic, version, counts of tensors and of entries,
all little-endian; an entry is a name, a type and a value; a string is its length and its bytes; an array is a type, a
count and so many values.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, BinaryIO

from polyprune.errors import UserError

_MAGIC = b"GGUF"
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""Types of GGUF as `struct` calls them."""
_STRING, _ARRAY = 8, 9
_LONGEST = 1 << 16
"""Of an array that is read in front of `stop_at`, such as sizes layer by layer."""


def read_gguf_header(file: Path, stop_at: str) -> dict[str, Any]:
    """Entries by name up to the array `stop_at`, of which there is only how long it is.

    Raises:
        UserError: there is no such file, or it is no GGUF of version 2 or 3.
    """
    try:
        with file.open("rb") as stream:
            if stream.read(4) != _MAGIC:
                raise UserError(f"{file} is no GGUF file")
            version, _, n_entries = _numbers(stream, "IQQ")
            if version not in (2, 3):
                raise UserError(f"{file} is GGUF of version {version}; 2 and 3 can be read: convert it again")
            found: dict[str, Any] = {}
            for _ in range(n_entries):
                name = _string(stream)
                (kind,) = _numbers(stream, "I")
                if name == stop_at and kind == _ARRAY:
                    found[name] = _numbers(stream, "IQ")[1]
                    break
                found[name] = _value(stream, kind)
            return found
    except (OSError, struct.error, UnicodeDecodeError, KeyError, MemoryError, OverflowError) as error:
        raise UserError(f"{file} cannot be read as GGUF ({type(error).__name__}: {error}); fetch it again") from error


def _value(stream: BinaryIO, kind: int) -> Any:
    if kind == _STRING:
        return _string(stream)
    if kind == _ARRAY:
        inner, count = _numbers(stream, "IQ")
        if count > _LONGEST:
            raise KeyError(f"an array of {count}")
        return [_value(stream, inner) for _ in range(count)]
    return _numbers(stream, _NUMBERS[kind])[0]


def _string(stream: BinaryIO) -> str:
    (length,) = _numbers(stream, "Q")
    return stream.read(length).decode("utf-8")


def _numbers(stream: BinaryIO, layout: str) -> tuple[Any, ...]:
    return struct.unpack(f"<{layout}", stream.read(struct.calcsize(f"<{layout}")))
