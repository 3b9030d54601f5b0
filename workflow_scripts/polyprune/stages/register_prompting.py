"""Identify what only prompts and answers read of a model."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from polyprune.artifacts.model_files import Files, describe
from polyprune.hub import download_file_of_model, download_pickles
from polyprune.model.gguf_template import template_of
from polyprune.model.prompting import JINJA, bring, prompting_files, write_prompting
from polyprune.model.source import folder_of, read_manifest
from polyprune.places import path_at


def register_prompting(model: Path, output: Path, provenance: dict[str, Any]) -> None:
    """Write `output` (manifest, see `model/prompting.py`).

    In the folder of a model that was made here the files are put as they belong: as training writes them, or as they
    are in what the model was converted from, which may have another template by now.
    """
    source = read_manifest(model)["source"]
    folder = folder_of(source, model)
    original: Files = {}
    match source["kind"]:
        case "train":
            bring(importlib.import_module("polyprune.model.training").prompting_of(folder), folder)
        case "gguf":
            original = _bring_template(source, folder)
        case "pickles":
            original = _bring_files(source, folder)
    write_prompting(output, model, folder, original, provenance)


def _bring_template(source: dict[str, Any], folder: Path) -> Files:
    at_hub = source.get("id") is not None
    file = (
        download_file_of_model(source["id"], source["revision"], source["file"]) if at_hub else path_at(source["path"])
    )
    template = template_of(file)
    bring({} if template is None else {JINJA: template.encode()}, folder)
    return describe(file.parent, [file.name])


def _bring_files(source: dict[str, Any], folder: Path) -> Files:
    at_hub = source.get("id") is not None
    original = download_pickles(source["id"], source["revision"]) if at_hub else path_at(source["path"])
    names = prompting_files(original)
    bring({name: (original / name).read_bytes() for name in names}, folder)
    return describe(original, names, prompting=True)
