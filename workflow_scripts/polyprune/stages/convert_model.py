"""Write a model that is a GGUF file, or whose weights are pickled, as a folder in Hugging Face layout."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path
from typing import Any

from polyprune.artifacts.atomic import share
from polyprune.artifacts.known_digests import known_digest
from polyprune.artifacts.model_files import describe
from polyprune.hub import download_file_of_model, download_pickles, lock_sizes, resolve_revision
from polyprune.log import logger
from polyprune.model.converted import convert_gguf, convert_pickles
from polyprune.model.gguf_template import without_template
from polyprune.model.source import OF_TEXT, check_shape, files_of, read_config, write_manifest
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

    The manifest's `source` says what the model was made from: `original`, size and SHA-256 of each file that decides;
    of GGUF also `quantised`, the types of its matrices with how many have each, and `without_template`, a digest of all
    that is not its chat template.
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
        said["without_template"] = known_digest(file, without_template)
    else:
        original = download_pickles(source.id, said["revision"]) if source.id is not None else _at(source)
        pickles = convert_pickles(original, made, source.dtype)
        said["original"] = describe(original, [*pickles, *files_of(original, OF_TEXT)])
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
