"""Check a local model folder and identify it."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from polyprune.model.source import check_shape, read_config, write_manifest
from polyprune.places import path_at
from polyprune.settings.engine import Engine
from polyprune.settings.models import FolderSource, Shape


def register_model(
    source: FolderSource, shape: Shape | None, name: str, output: Path, engine: Engine, provenance: dict[str, Any]
) -> None:
    """Write `output` (manifest, see `model/source.py`); the source's path is a reference (`places.py`)."""
    folder = path_at(source.path)
    check_shape(read_config(folder), shape, f"models.{name}.shape")
    chosen = importlib.import_module("polyprune.model.probing").probe_folder(folder, source.dtype, engine.device)
    write_manifest(output, source.model_dump(exclude_none=True), folder, provenance, chosen)
