"""Check a local model folder and identify it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polyprune.model.source import check_shape, read_config, write_manifest
from polyprune.settings.models import FolderSource, Shape


def register_model(source: FolderSource, shape: Shape, name: str, output: Path, provenance: dict[str, Any]) -> None:
    """Write `output` (manifest, see `model/source.py`)."""
    folder = Path(source.path).expanduser().resolve()
    check_shape(read_config(folder), shape, f"models.{name}.shape")
    wanted = {"dtype": source.dtype} if source.dtype else {}
    write_manifest(output, {"kind": "folder", "path": str(folder), **wanted}, folder, provenance)
