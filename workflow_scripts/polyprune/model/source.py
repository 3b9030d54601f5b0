"""Where a model comes from and lies: manifests and folders in Hugging Face layout. No torch.

Every model has a manifest, `results/{model}/model.json`, schema `model/3`: where it came from and what identifies it.

    {"source": {"kind": "train" | "hub" | "folder" | "gguf" | "pickles", …}, "digest": "<16 hex>",
     "architecture": "LlamaForCausalLM",
     "files": {"config.json": {"bytes": …, "sha256": "<64 hex>"}, …}}

If the configuration wants the weights in another dtype than their own, `source` has it as `dtype`; if a CPU computes
them faster in another, `chosen_dtype` says in which (`arithmetic.py`). The digest is of that too.

The files are those that decide results: weights, configuration and tokenizer. The digest is one over all of theirs,
whatever folder they lie in. Chat templates and what ends an answer have a manifest of their own (`prompting.py`):
hidden states of text do not depend on them, nor cells, but for those that are calibrated in chat.

`locate` leads from a manifest to the folder: beside it (`checkpoint/`) for models trained or converted here, the hub's
cache for hub models, where the configuration says for local folders (`places.py`). So a manifest is the same on every
machine. It refuses a folder whose files are no longer the registered ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from polyprune.artifacts.identity import MODEL
from polyprune.artifacts.json_files import load_record, read_object, save_record
from polyprune.artifacts.model_files import TOKENIZER_CONFIG, Files, describe
from polyprune.errors import UserError
from polyprune.hub import cached_model
from polyprune.model.config_values import refuse_impossible
from polyprune.model.registered import check_unchanged
from polyprune.places import path_at
from polyprune.provenance import digest
from polyprune.settings.models import Shape
from polyprune.settings.sizes import NOT_COMPARED, TEXT_PARTS, named_sizes, sizes_of_config, why_no_folder

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
CONFIG, TOKENIZER, ADAPTER = "config.json", "tokenizer.json", "adapter_config.json"
OF_TEXT = (CONFIG, TOKENIZER, "added_tokens.json", "special_tokens_map.json", TOKENIZER_CONFIG)
"""What decides results beside the weights, where it is there: the architecture, and a text's tokens."""
_PLAIN_WEIGHTS = "use the model it was made from, or have its tool write plain float16, bfloat16 or float32 weights"
_QUANTISED = ("quantization_config", "compression_config")


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a model folder.

    Raises:
        UserError: no such folder, no config or tokenizer, a config that cannot be one, or a model that needs remote
            code or is already quantised.
    """
    if said := why_no_folder(folder):
        raise UserError(said)
    _is_file(folder / CONFIG)
    config = read_object(folder / CONFIG)
    if "auto_map" in config:
        raise UserError(
            f"{folder} needs code from its repository (auto_map in config.json); polyprune runs no remote code"
        )
    if (folder / ADAPTER).exists():
        raise UserError(
            f"{folder} has an adapter ({ADAPTER}), which transformers puts on top of the weights and polyprune does "
            "not: merge it into them (merge_and_unload of peft), or take it out of the folder"
        )
    _refuse_quantised(config, folder)
    refuse_impossible(text_part(config), folder / CONFIG)
    if not _is_file(folder / TOKENIZER):
        raise UserError(f"{folder} has no tokenizer.json (fast tokenizer); save one with AutoTokenizer.save_pretrained")
    return config


def _is_file(path: Path) -> bool:
    """Raises `UserError` if there is something else, such as a folder, where a file belongs."""
    if path.exists() and not path.is_file():
        raise UserError(f"{path} is no file but a folder or device; put the model's file there")
    return path.is_file()


def _refuse_quantised(config: dict[str, Any], folder: Path) -> None:
    places = [config, *(part for part in config.values() if isinstance(part, dict) and "hidden_size" in part)]
    for place in places:
        for name in _QUANTISED:
            about = place[name] if isinstance(place.get(name), dict) else {}
            if place.get(name) and not _is_plain(about):
                method = about.get("quant_method") or about.get("format") or "a method it does not name"
                raise UserError(
                    f"{folder} is already quantised, with {method} ({name} in config.json): its tensors are codes, "
                    f"which would be read as weights; {_PLAIN_WEIGHTS}"
                )


def _is_plain(about: dict[str, Any]) -> bool:
    """Whether a tool that can quantise or pack has written ordinary weights, which it may have pruned."""
    sparsity = about.get("sparsity_config")
    formats = {about.get("format"), sparsity.get("format") if isinstance(sparsity, dict) else None}
    return "dense" in formats and formats <= {"dense", None} and not about.get("config_groups")


def tensor_files(folder: Path) -> list[str]:
    """Names of the safetensors files, all present: the single one if it is there, as transformers prefers it.

    Raises:
        UserError: pickles only, nothing, missing shards, or an index that is none or leads out of the folder.
    """
    if _is_file(folder / SINGLE):
        return [SINGLE]
    if not _is_file(folder / INDEX):
        if list(folder.glob("*.bin")) or list(folder.glob("*.pt")):
            raise UserError(f"{folder} has pickled weights only; convert them to safetensors (pickles can run code)")
        raise UserError(f"{folder} has neither {SINGLE} nor {INDEX}")
    places = read_object(folder / INDEX).get("weight_map")
    if not isinstance(places, dict) or not places or not all(isinstance(name, str) for name in places.values()):
        raise UserError(f"{folder / INDEX} has no weight_map from tensors to files; fetch it again")
    names = sorted(set(places.values()))
    if outside := [name for name in names if Path(name).name != name]:
        raise UserError(f"{folder / INDEX} leads out of its folder, to {outside[0]!r}; fetch it again from its source")
    if missing := [name for name in names if not _is_file(folder / name)]:
        raise UserError(
            f"{folder} is half-downloaded: {len(missing)} of {len(names)} shards are missing, e.g. {missing[0]}"
        )
    return names


def architecture(config: dict[str, Any]) -> str:
    names = config.get("architectures")
    return str(names[0]) if isinstance(names, list) and names else "?"


def text_part(config: dict[str, Any]) -> dict[str, Any]:
    """What config.json says of the decoder of text: of a model that also sees or hears that lies deeper."""
    nested = config.get("text_config")
    return {**config, **nested} if isinstance(nested, dict) else config


def check_shape(config: dict[str, Any], shape: Shape | None, place: str) -> dict[str, int]:
    """The sizes that config.json names, from which resources are planned, and beside them those given by hand.

    What config.json must name, the part of it that is about text need not: transformers knows the sizes that it leaves
    out, and only those that it names are compared.

    Raises:
        UserError: it contradicts those given by hand at `place`, or does not name all.
    """
    if shape is None:
        return sizes_of_config(config, place)
    is_nested = any(isinstance(config.get(name), dict) for name in TEXT_PARTS)
    found = named_sizes(config) if is_nested else sizes_of_config(config, place, shape.max_positions)
    named = {name: value for name, value in found.items() if value}
    compared = [name for name in named if name not in NOT_COMPARED]
    wrong = [f"{name}: {named[name]}" for name in compared if named[name] != getattr(shape, name)]
    if wrong:
        raise UserError(f"{place} differs from the model's config.json: set {', '.join(wrong)}")
    return shape.model_dump(exclude_none=True) | named


def deciding_files(folder: Path) -> list[str]:
    """Names, in order, of the files whose content decides results.

    Raises:
        UserError: the folder is not a whole model.
    """
    return sorted({*tensor_files(folder), *files_of(folder, OF_TEXT)})


def files_of(folder: Path, patterns: Iterable[str]) -> list[str]:
    """Names, in order, of files of a folder; raises `UserError` where something else has such a name."""
    found = (file for pattern in patterns for file in folder.glob(pattern) if _is_file(file))
    return sorted({file.relative_to(folder).as_posix() for file in found})


def model_digest(files: Files, dtype: str | None) -> str:
    """Identifies a model: SHA-256 over names and digests of all files that decide, and the dtype if one is wanted."""
    named = (part for name in sorted(files) for part in (name, files[name]["sha256"]))
    return digest(*named, *([] if dtype is None else [dtype]))


def write_manifest(
    path: Path, source: dict[str, Any], folder: Path, provenance: dict[str, Any], chosen: str | None = None
) -> None:
    """Describe a model folder that was found whole; raises `UserError` like `read_config` and `tensor_files`.

    `chosen` is a dtype that weights are used in although nobody asked for it (`arithmetic.py`).
    """
    config = read_config(folder)
    files = describe(folder, deciding_files(folder))
    manifest = {
        "source": source,
        "architecture": architecture(config),
        "digest": model_digest(files, chosen or source.get("dtype")),
        "files": files,
        **({"chosen_dtype": chosen} if chosen else {}),
        "provenance": provenance,
    }
    save_record(path, MODEL, manifest)


def read_manifest(path: Path) -> dict[str, Any]:
    """Raises `UserError` if the manifest is missing, damaged, or of another model."""
    return load_record(path, MODEL)


def dtype_of(manifest: Path) -> str | None:
    """The dtype that weights are used in where it is not their own."""
    about = read_manifest(manifest)
    return about.get("chosen_dtype") or about["source"].get("dtype")


def locate(manifest: Path) -> Path:
    """The model folder that a manifest stands for.

    Raises:
        UserError: this machine does not have it, or its files are not the registered ones.
    """
    about = read_manifest(manifest)
    folder = folder_of(about["source"], manifest)
    if not folder.is_dir():
        raise UserError(
            f"{folder}, the model of {manifest}, {'is no folder' if folder.exists() else 'does not exist'}; "
            f"put it back, or correct its path in config.yaml"
        )
    check_unchanged(about, folder, deciding_files(folder), manifest)
    return folder


def folder_of(source: dict[str, Any], manifest: Path) -> Path:
    """Where the model lies that a manifest says to be from `source`; raises `UserError` if nobody here knows."""
    match source["kind"]:
        case "train" | "gguf" | "pickles":
            return manifest.parent / "checkpoint"
        case "hub":
            return cached_model(source["id"], source["revision"])
        case "folder":
            return path_at(source["path"])
        case kind:
            raise UserError(f"{manifest}: unknown kind of source {kind!r}; delete the file and run again")


def special_tokens(config: dict[str, Any]) -> tuple[int | None, int | None]:
    """BOS and EOS ids that config.json names; the first where the model has several."""

    def first(value: Any) -> int | None:
        return next(iter(value), None) if isinstance(value, list) else value

    config = text_part(config)
    return first(config.get("bos_token_id")), first(config.get("eos_token_id"))
