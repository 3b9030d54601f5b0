"""safetensors files with one metadata entry, `polyprune`: a JSON object of provenance.

The library's own writer keeps metadata in a hash map, so the order of several entries differs from run to run: one
entry makes the bytes reproducible. Reading needs `safetensors` alone.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from polyprune.artifacts.atomic import atomic_write
from polyprune.errors import UserError
from polyprune.provenance import canonical_json

METADATA_KEY = "polyprune"


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> None:
    """Write arrays and provenance, atomically. Same content, same bytes."""
    with atomic_write(path) as part:
        ordered = {name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)}
        save_file(ordered, part, metadata={METADATA_KEY: canonical_json(metadata)})


def load_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """All arrays and the provenance of a file written by `save_arrays`."""
    with open_tensors(path, "numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, read_metadata(file)  # noqa: SIM118


def read_metadata(file: Any) -> dict[str, Any]:
    """Provenance of an open safetensors file; empty if another program wrote it."""
    return json.loads((file.metadata() or {}).get(METADATA_KEY, "{}"))


def open_tensors(path: Path, framework: str = "pt") -> Any:
    """`safe_open` that says what to do about a missing or truncated file.

    Raises:
        UserError: missing, truncated or not a safetensors file.
    """
    try:
        return safe_open(path, framework=framework)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist") from error
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{path} cannot be read as safetensors ({error}): it is truncated or damaged; delete it and run again"
        ) from error


def concatenate(parts: Sequence[Path], path: Path, metadata: Mapping[str, Any]) -> None:
    """Join safetensors files into one without holding their tensors in memory.

    Tensors keep their order: by part, then by offset within the part. Names must be distinct.
    """
    header: dict[str, Any] = {"__metadata__": {METADATA_KEY: canonical_json(metadata)}}
    starts, base = [], 0
    for file in parts:
        entries, start = _read_header(file)
        entries.pop("__metadata__", None)
        starts.append(start)
        for name, entry in sorted(entries.items(), key=lambda item: item[1]["data_offsets"]):
            if name in header:
                raise ValueError(f"tensor {name} stands in two parts")
            first, last = entry["data_offsets"]
            header[name] = {
                "dtype": entry["dtype"],
                "shape": entry["shape"],
                "data_offsets": [base + first, base + last],
            }
        base += file.stat().st_size - start
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with atomic_write(path) as part, part.open("wb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        for file, start in zip(parts, starts, strict=True):
            with file.open("rb") as stream:
                stream.seek(start)
                shutil.copyfileobj(stream, out, 16 << 20)


def rewrite(source: Path, path: Path, replacement: Callable[[str], bytes | None]) -> None:
    """Copy a safetensors file, tensor by tensor, with the bytes that `replacement` gives for some of them.

    Header, order, dtypes and shapes stay as they are; one tensor is in memory at a time.
    """
    entries, start = _read_header(source)
    entries.pop("__metadata__", None)
    with source.open("rb") as stream, atomic_write(path) as part, part.open("wb") as out:
        out.write(stream.read(start))
        for name, entry in sorted(entries.items(), key=lambda item: item[1]["data_offsets"]):
            first, last = entry["data_offsets"]
            data = replacement(name)
            if data is None:
                stream.seek(start + first)
                data = stream.read(last - first)
            if len(data) != last - first:
                raise ValueError(f"{source}: tensor {name} has {last - first} bytes, its replacement {len(data)}")
            out.write(data)


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    """Header entries and the offset at which tensor data starts."""
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        return json.loads(stream.read(length)), 8 + length
