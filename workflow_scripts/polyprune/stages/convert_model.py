"""Write a model that is a GGUF file, or whose weights are pickled, as a folder in Hugging Face layout."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path
from typing import Any

from polyprune.artifacts.atomic import share
from polyprune.hub import download_file_of_model, download_pickles, lock_sizes, resolve_revision
from polyprune.log import logger
from polyprune.model.converted import convert_gguf, convert_pickles
from polyprune.model.registered import describe
from polyprune.model.source import check_shape, read_config, write_manifest
from polyprune.places import path_at
from polyprune.settings.engine import Engine
from polyprune.settings.models import GgufSource, PickledSource, Shape


def convert_model(
    source: GgufSource | PickledSource,
    shape: Shape | None,
    name: str,
    output: Path,
    engine: Engine,
    provenance: dict[str, Any],
) -> None:
    """Write `output` (manifest, see `model/source.py`) and the folder `checkpoint/` beside it.

    The manifest's `source` says what the model was made from: `original`, size and SHA-256 of each file, and, of GGUF,
    `quantised`, the types of its matrices with how many have each.
    """
    said = source.model_dump(exclude_none=True, exclude={"gated", "dtype"})
    if source.id is not None:
        said["revision"] = resolve_revision("model", source.id, source.revision)
    folder, made = output.parent / "checkpoint", output.parent / "checkpoint.part"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    if isinstance(source, GgufSource):
        at_hub = source.id is not None
        file = download_file_of_model(str(source.id), said["revision"], str(source.file)) if at_hub else _at(source)
        said |= {"original": describe(file.parent, [file.name]), "quantised": convert_gguf(file, made, source.dtype)}
    else:
        original = download_pickles(source.id, said["revision"]) if source.id is not None else _at(source)
        said["original"] = describe(original, convert_pickles(original, made, source.dtype))
    sizes = check_shape(read_config(made), shape, f"models.{name}.shape")
    chosen = importlib.import_module("polyprune.model.probing").probe_folder(made, source.dtype, engine.device)
    if source.id is not None:
        asked = f"{source.id}/{source.file}" if isinstance(source, GgufSource) else source.id
        lock_sizes(asked, said["revision"], sizes)
    shutil.rmtree(folder, ignore_errors=True)
    made.rename(folder)
    share(folder)
    write_manifest(output, said, folder, provenance, chosen)
    logger.info("%s: %.2f GB", folder, sum(file.stat().st_size for file in folder.iterdir()) / 1e9)


def _at(source: GgufSource | PickledSource) -> Path:
    return path_at(str(source.path))
