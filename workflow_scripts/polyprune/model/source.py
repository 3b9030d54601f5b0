"""Where a model comes from and lies: manifests and folders in Hugging Face layout. No torch.

Every model has a manifest, `results/{model}/model.json`, schema `model/2`: where it came from and what identifies it.

    {"source": {"kind": "train" | "hub" | "folder", …}, "digest": "<16 hex>", "architecture": "LlamaForCausalLM"}

`locate` leads from a manifest to the folder: beside it (`checkpoint/`) for trained models, the hub's cache for hub
models, anywhere for local folders. So a manifest of a hub model is the same on every machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polyprune.artifacts.identity import MODEL
from polyprune.artifacts.json_files import load_record, read_json, save_record
from polyprune.errors import UserError
from polyprune.hub import cached_model
from polyprune.provenance import digest, file_digest
from polyprune.settings.models import Shape

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a model folder.

    Raises:
        UserError: no such folder, no config or tokenizer, or the model needs remote code.
    """
    file = folder / "config.json"
    if not folder.is_dir():
        raise UserError(f"model folder {folder} does not exist")
    if not file.is_file():
        raise UserError(f"{folder} has no config.json: it is not a model folder in Hugging Face layout")
    config = read_json(file)
    if "auto_map" in config:
        raise UserError(
            f"{folder} needs code from its repository (auto_map in config.json); polyprune runs no remote code"
        )
    if not (folder / "tokenizer.json").is_file():
        raise UserError(f"{folder} has no tokenizer.json (fast tokenizer); save one with AutoTokenizer.save_pretrained")
    return config


def tensor_files(folder: Path) -> list[str]:
    """Names of the safetensors files, all present.

    Raises:
        UserError: pickles only, nothing, or missing shards.
    """
    if (folder / INDEX).is_file():
        names = sorted(set(read_json(folder / INDEX)["weight_map"].values()))
    elif (folder / SINGLE).is_file():
        names = [SINGLE]
    elif list(folder.glob("*.bin")) or list(folder.glob("*.pt")):
        raise UserError(f"{folder} has pickled weights only; convert them to safetensors (pickles can run code)")
    else:
        raise UserError(f"{folder} has neither {SINGLE} nor {INDEX}")
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise UserError(
            f"{folder} is half-downloaded: {len(missing)} of {len(names)} shards are missing, e.g. {missing[0]}"
        )
    return names


def architecture(config: dict[str, Any]) -> str:
    return (config.get("architectures") or ["?"])[0]


def check_shape(config: dict[str, Any], shape: Shape, place: str) -> None:
    """Raises `UserError` where config.json contradicts the settings at `place`, from which resources are planned."""
    found = {
        "layers": config.get("num_hidden_layers"),
        "hidden": config.get("hidden_size"),
        "intermediate": config.get("intermediate_size"),
        "heads": config.get("num_attention_heads"),
        "kv_heads": config.get("num_key_value_heads", config.get("num_attention_heads")),
        "vocabulary": config.get("vocab_size"),
        "max_positions": config.get("max_position_embeddings", shape.max_positions),
    }
    wrong = [f"{name}: {value}" for name, value in found.items() if value != getattr(shape, name)]
    if wrong:
        raise UserError(f"{place} in config.yaml differs from the model's config.json: set {', '.join(wrong)}")


def model_digest(folder: Path) -> str:
    """Identifies weights, configuration and tokenizer: SHA-256 over all their bytes."""
    names = sorted({*tensor_files(folder), "config.json", "tokenizer.json"})
    return digest(*(part for name in names for part in (name, file_digest(folder / name))))


def write_manifest(path: Path, source: dict[str, Any], folder: Path, provenance: dict[str, Any]) -> None:
    """Describe a model folder that was found whole; raises `UserError` like `read_config` and `tensor_files`."""
    manifest = {
        "source": source,
        "architecture": architecture(read_config(folder)),
        "digest": model_digest(folder),
        "provenance": provenance,
    }
    save_record(path, MODEL, manifest)


def read_manifest(path: Path) -> dict[str, Any]:
    """Raises `UserError` if the manifest is missing, damaged, or of another model."""
    return load_record(path, MODEL)


def locate(manifest: Path) -> Path:
    """The model folder that a manifest stands for; raises `UserError` if this machine does not have it."""
    source = read_manifest(manifest)["source"]
    match source["kind"]:
        case "train":
            return manifest.parent / "checkpoint"
        case "hub":
            return cached_model(source["id"], source["revision"])
        case "folder":
            return Path(source["path"])
        case kind:
            raise UserError(f"{manifest}: unknown kind of source {kind!r}; delete the file and run again")


def special_tokens(config: dict[str, Any]) -> tuple[int | None, int | None]:
    """BOS and EOS ids; the first where the model has several."""

    def first(value: Any) -> int | None:
        return value[0] if isinstance(value, list) else value

    return first(config.get("bos_token_id")), first(config.get("eos_token_id"))
