"""A checkpoint that somebody else made: where it lies, what identifies it, its tensors one at a time. No torch here.

Registered is, as `checkpoint.json` beside the cell, schema `checkpoint/1`,

    {"source": {"kind": "hub" | "folder", …}, "digest": "<16 hex>",
     "files": {"config.json": {"bytes": …, "sha256": "<64 hex>"}, …}}

The files are those that decide the cell: weights, and what says how they are packed. The digest is one over theirs.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from polyprune.artifacts.identity import CHECKPOINT
from polyprune.artifacts.json_files import load_record, read_object, save_record
from polyprune.artifacts.model_files import describe
from polyprune.errors import UserError
from polyprune.hub import cached_checkpoint
from polyprune.model.registered import check_unchanged
from polyprune.model.source import CONFIG, INDEX, SINGLE, model_digest, tensor_files
from polyprune.places import path_at

QUANTISATION = ("quantize_config.json", "quant_config.json", "hf_quant_config.json")
"""How weights are packed, where config.json does not say it: AutoGPTQ's, AutoAWQ's and ModelOpt's files."""
_SHARD = re.compile(r"(?P<stem>.+)-\d+-of-(?P<n>\d+)\.safetensors")
_PICKLE, _PICKLE_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"


def weight_files(folder: Path, pickles: bool) -> list[str]:
    """Names of the files that hold a checkpoint's weights: one, those of an index, or with `pickles` pickled ones.

    Raises:
        UserError: no such folder or files, or some are missing.
    """
    if not folder.is_dir():
        said = "is a file; a checkpoint is the folder that holds config.json" if folder.exists() else "does not exist"
        raise UserError(f"checkpoint {folder} {said}")
    whole = (folder / SINGLE).is_file() or (folder / INDEX).is_file()
    found = sorted(file.name for file in folder.glob("*.safetensors"))
    if not whole and (shards := _shards(folder, found) or (found if len(found) == 1 else [])):
        return shards
    if whole or not pickles:
        if not whole and list(folder.glob("*.bin")):
            raise UserError(
                f"{folder} has pickled weights only; say `pickles: true` in its source to read weights, and nothing "
                "else, from them"
            )
        return tensor_files(folder)
    names = [_PICKLE]
    if (folder / _PICKLE_INDEX).is_file():
        names = sorted(set(read_object(folder / _PICKLE_INDEX).get("weight_map", {}).values()))
    if missing := [name for name in names if Path(name).name != name or not (folder / name).is_file()]:
        raise UserError(f"{folder} has no {missing[0]}: it is no whole checkpoint")
    return names


def _shards(folder: Path, names: list[str]) -> list[str]:
    """All shards of one checkpoint by their names, which need no index to be read; empty if they are no shards.

    Raises:
        UserError: some are missing.
    """
    parts = [_SHARD.fullmatch(name) for name in names]
    whole = {match.group("stem", "n") for match in parts if match}
    if None in parts or len(whole) != 1:
        return []
    ((stem, n),) = whole
    wanted = [f"{stem}-{number:0{len(n)}}-of-{n}.safetensors" for number in range(1, int(n) + 1)]
    if missing := [name for name in wanted if name not in names]:
        raise UserError(f"{folder} has no {missing[0]}: it is no whole checkpoint")
    return wanted


def deciding_files(folder: Path, pickles: bool) -> list[str]:
    """Names of the files that decide a cell; raises `UserError` like `weight_files`."""
    beside = [name for name in (CONFIG, INDEX, _PICKLE_INDEX, *QUANTISATION) if (folder / name).is_file()]
    return sorted({*weight_files(folder, pickles), *beside})


def write_checkpoint_manifest(path: Path, source: dict[str, Any], folder: Path, provenance: dict[str, Any]) -> None:
    """Describe a checkpoint that was found whole."""
    files = describe(folder, deciding_files(folder, source["pickles"]))
    about = {"source": source, "digest": model_digest(files, None), "files": files, "provenance": provenance}
    save_record(path, CHECKPOINT, about)


def read_checkpoint_manifest(path: Path) -> dict[str, Any]:
    """Raises `UserError` if the manifest is missing, damaged, or of another checkpoint."""
    return load_record(path, CHECKPOINT)


def checkpoint_folder(source: dict[str, Any]) -> Path:
    """Where a checkpoint lies that is from `source`; raises `UserError` if this machine does not have it."""
    if source["kind"] == "folder":
        return path_at(source["path"])
    return cached_checkpoint(source["id"], source["revision"], source["pickles"])


def locate_checkpoint(manifest: Path) -> Path:
    """The folder that a manifest stands for.

    Raises:
        UserError: this machine does not have it, or its files are not the registered ones.
    """
    about = read_checkpoint_manifest(manifest)
    folder = checkpoint_folder(about["source"])
    check_unchanged(about, folder, deciding_files(folder, about["source"]["pickles"]), manifest)
    return folder
