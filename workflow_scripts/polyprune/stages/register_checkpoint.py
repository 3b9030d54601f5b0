"""Find a checkpoint that a cell is read from, of this machine or of the hub, and identify it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polyprune.hub import download_checkpoint, resolve_revision
from polyprune.log import logger
from polyprune.model.foreign.files import write_checkpoint_manifest
from polyprune.places import path_at
from polyprune.settings.imports import CheckpointSource, HubCheckpoint


def register_checkpoint(source: CheckpointSource, output: Path, provenance: dict[str, Any]) -> None:
    """Write `output` (manifest, see `model/foreign/files.py`); a folder's path is a reference (`places.py`)."""
    said = source.model_dump(exclude_none=True)
    if isinstance(source, HubCheckpoint):
        said["revision"] = resolve_revision("model", source.id, source.revision)
        folder = download_checkpoint(source.id, said["revision"], source.pickles)
    else:
        folder = path_at(source.path)
    write_checkpoint_manifest(output, said, folder, provenance)
    logger.info("%s", folder)
