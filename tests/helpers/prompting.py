"""The second manifest of a model, which those read that put questions."""

from __future__ import annotations

from pathlib import Path

from polyprune.model.prompting import write_prompting
from polyprune.model.source import folder_of, read_manifest


def prompting_of(model: Path) -> Path:
    """Of the model that a manifest stands for, as its folder is now; beside the manifest."""
    path = model.with_name("prompting.json")
    write_prompting(path, model, folder_of(read_manifest(model)["source"], model), {}, {})
    return path
