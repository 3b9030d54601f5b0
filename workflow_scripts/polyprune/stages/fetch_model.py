"""Download a hub model into the hub's cache, at the commit that the lock file says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polyprune.hub import download_model, resolve_revision
from polyprune.log import logger
from polyprune.model.source import check_shape, read_config, write_manifest
from polyprune.settings.models import HubSource, Shape


def fetch_model(source: HubSource, shape: Shape, name: str, output: Path, provenance: dict[str, Any]) -> None:
    """Write `output` (manifest, see `model/source.py`)."""
    revision = resolve_revision("model", source.id, source.revision)
    logger.info("%s at %s", source.id, revision)
    folder = download_model(source.id, revision)
    check_shape(read_config(folder), shape, f"models.{name}.shape")
    wanted = {"dtype": source.dtype} if source.dtype else {}
    write_manifest(output, {"kind": "hub", "id": source.id, "revision": revision, **wanted}, folder, provenance)
