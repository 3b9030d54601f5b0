"""What only prompts and answers read of a model: its chat templates, and what ends an answer. No torch.

Every model has a second manifest, `results/{model}/prompting.json`, schema `prompting/1`, for jobs that put questions
or cut calibration text in chat, and for exports, which hold the files. So another template makes those again, and no
hidden states of text, nor cells but those calibrated in it.

    {"model_digest": "<16 hex>", "kind": "train" | "hub" | …, "digest": "<16 hex>",
     "files": {"chat_template.jinja": {"bytes": …, "sha256": "<64 hex>"}, …}, "original": {…}}

The digest is one over all files. Where the model was converted from files of the user's, `original` describes those of
them that templates are taken from.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polyprune.artifacts.atomic import atomic_write
from polyprune.artifacts.identity import PROMPTING
from polyprune.artifacts.json_files import load_record, read_object, save_record, write_json
from polyprune.artifacts.model_files import TEMPLATES, TOKENIZER_CONFIG, Files, describe
from polyprune.model.registered import check_unchanged
from polyprune.model.source import files_of, locate, model_digest, read_manifest

JINJA, GENERATION = "chat_template.jinja", "generation_config.json"
_PATTERNS = ("additional_chat_templates/*.jinja", JINJA, "chat_template.json", GENERATION, TOKENIZER_CONFIG)


def prompting_files(folder: Path) -> list[str]:
    """Names, in order, of the files that decide how questions are put and where answers end."""
    return files_of(folder, _PATTERNS)


def bring(wanted: Mapping[str, bytes], folder: Path) -> None:
    """Have a folder that was made here hold these of such files, and no others, nor a template elsewhere."""
    beside = set(prompting_files(folder)) - set(wanted)
    for name in beside - {TOKENIZER_CONFIG}:
        (folder / name).unlink()
    if TOKENIZER_CONFIG in beside and TEMPLATES in (entries := read_object(folder / TOKENIZER_CONFIG)):
        del entries[TEMPLATES]
        write_json(folder / TOKENIZER_CONFIG, entries)
    for name, content in wanted.items():
        if not (folder / name).is_file() or (folder / name).read_bytes() != content:
            with atomic_write(folder / name) as part:
                part.write_bytes(content)


def write_prompting(path: Path, model: Path, folder: Path, original: Files, provenance: dict[str, Any]) -> None:
    """Describe the folder of the model that the manifest `model` stands for."""
    about, files = read_manifest(model), describe(folder, prompting_files(folder), prompting=True)
    found = {
        "model_digest": about["digest"],
        "kind": about["source"]["kind"],
        "digest": model_digest(files, None),
        "files": files,
        "original": original,
        "provenance": provenance,
    }
    save_record(path, PROMPTING, found)


def read_prompting(path: Path, model: Path | None = None) -> dict[str, Any]:
    """Raises `UserError` if the manifest is missing, damaged, or of another model than `model`."""
    return load_record(path, PROMPTING, model and {"model_digest": read_manifest(model)["digest"]})


def locate_prompting(path: Path, model: Path) -> Path:
    """The model folder, for who puts questions.

    Raises:
        UserError: this machine does not have it, or its files are not the registered ones.
    """
    about, folder = read_prompting(path, model), locate(model)
    check_unchanged(about, folder, prompting_files(folder), path, prompting=True)
    return folder
