"""Download a hub model into the hub's cache, at the commit that the lock file says."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from polyprune.hub import download_model, lock_sizes, resolve_revision
from polyprune.log import logger
from polyprune.model.source import check_shape, read_config, write_manifest
from polyprune.settings.engine import Engine
from polyprune.settings.models import HubSource, Shape


def fetch_model(
    source: HubSource, shape: Shape | None, name: str, output: Path, engine: Engine, provenance: dict[str, Any]
) -> None:
    """Write `output` (manifest, see `model/source.py`), and the model's sizes into the lock file."""
    revision = resolve_revision("model", source.id, source.revision)
    logger.info("%s at %s", source.id, revision)
    folder = download_model(source.id, revision)
    sizes = check_shape(read_config(folder), shape, f"models.{name}.shape")
    chosen = importlib.import_module("polyprune.model.probing").probe_folder(folder, source.dtype, engine.device)
    lock_sizes(source.id, revision, sizes)
    wanted = {"dtype": source.dtype} if source.dtype else {}
    said = {"kind": "hub", "id": source.id, "revision": revision, **wanted}
    write_manifest(output, said, folder, provenance, chosen)
