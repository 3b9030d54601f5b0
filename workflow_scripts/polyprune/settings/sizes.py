"""Sizes of a model, as files beside its weights say them: config.json, the header of a GGUF file, `revisions.lock`.

Read when a run is planned, without torch or transformers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polyprune.errors import UserError
from polyprune.settings.gguf_header import read_gguf_header

LOCK_FILE = Path("revisions.lock")
"""Beside config.yaml: `sizes` has those of each model of the hub, `org/name@commit`, since it was registered."""
_NAMES: dict[str, tuple[str, ...]] = {
    "layers": ("num_hidden_layers", "n_layer", "n_layers", "num_layers"),
    "hidden": ("hidden_size", "n_embd", "d_model"),
    "intermediate": ("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size", "d_ff", "moe_intermediate_size"),
    "heads": ("num_attention_heads", "n_head", "n_heads", "num_heads"),
    "kv_heads": ("num_key_value_heads", "num_kv_heads", "n_head_kv"),
    "vocabulary": ("vocab_size",),
    "max_positions": ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "n_ctx"),
    "head": ("head_dim",),
    "experts": ("n_routed_experts", "num_local_experts", "num_experts", "moe_num_experts"),
    "expert_width": ("moe_intermediate_size", "expert_ffn_hidden_size"),
    "experts_per_token": ("num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_k"),
    "shared_width": ("shared_expert_intermediate_size", "shared_experts_intermediate_size", "shared_intermediate_size"),
}
"""What families call each size in config.json."""
_SHARED_EXPERTS = ("n_shared_experts", "num_shared_experts", "moe_num_shared_experts")
OPTIONAL = frozenset(("head", "experts", "expert_width", "experts_per_token", "shared_width"))
"""What only some models have."""
NOT_COMPARED = OPTIONAL | {"bytes_per_weight"}
"""Sizes that only plan memory and time: another one by hand makes no other result."""
TEXT_PARTS = ("text_config", "llm_config", "language_config")
"""Where models of several kinds of input keep what is about text."""
_FOURFOLD = 4
"""Width of an MLP over the model's where config.json names none: GPT-2, BLOOM, Falcon, MPT."""
_GGUF = {
    "layers": "block_count",
    "hidden": "embedding_length",
    "intermediate": "feed_forward_length",
    "heads": "attention.head_count",
    "kv_heads": "attention.head_count_kv",
    "vocabulary": "vocab_size",
    "max_positions": "context_length",
    "head": "attention.key_length",
    "experts": "expert_count",
    "expert_width": "expert_feed_forward_length",
    "experts_per_token": "expert_used_count",
    "shared_width": "expert_shared_feed_forward_length",
}
"""What GGUF calls them, after the name of the architecture."""
_GGUF_TOKENS = "tokenizer.ggml.tokens"


def sizes_of_config(config: Mapping[str, Any], place: str, max_positions: int | None = None) -> dict[str, int]:
    """The keys of `settings.models.Shape` from a model's config.json; `max_positions` for where it names none.

    Raises:
        UserError: it does not name one; says which, and that `place` may.
    """
    found = named_sizes(config)
    return _complete(found | {"max_positions": found["max_positions"] or max_positions}, place)


def named_sizes(config: Mapping[str, Any]) -> dict[str, Any]:
    """As far as config.json names them; None for others, which transformers may know."""
    part = next((config[name] for name in TEXT_PARTS if isinstance(config.get(name), dict)), config)
    inner = part if part.get("num_hidden_layers") or part is config else {**config, **part}
    found = {name: _first(inner, names) for name, names in _NAMES.items()}
    if found["intermediate"] is None and found["hidden"] is not None:
        found["intermediate"] = _FOURFOLD * found["hidden"]
    found["kv_heads"] = found["kv_heads"] or found["heads"]
    found |= _of_experts(found, _first(inner, _SHARED_EXPERTS))
    dtype = str(inner.get("dtype") or inner.get("torch_dtype") or config.get("dtype") or config.get("torch_dtype"))
    return found | {"bytes_per_weight": 2 if dtype.removeprefix("torch.").endswith("16") else 4}


def why_no_folder(folder: Path) -> str | None:
    """What there is where a model folder belongs, in words; None if a folder with a config.json is."""
    if folder.is_dir():
        if (folder / "config.json").exists():
            return None
        return f"{folder} has no config.json: it is not a model folder in Hugging Face layout"
    said = "is a file; a model is the folder that holds config.json" if folder.exists() else "does not exist"
    return f"model folder {folder} {said}"


def sizes_of_folder(folder: Path, place: str) -> dict[str, int]:
    """Of a model folder; raises `UserError` if there is no config.json that names them."""
    if folder.suffix == ".gguf" and folder.is_file():
        raise UserError(f"{place}: {folder} is a file, no folder: write `source: {{kind: gguf, path: {folder.name}}}`")
    if said := why_no_folder(folder):
        raise UserError(f"{place}: {said}; correct `source.path`, or put it back")
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{place}: {folder / 'config.json'} cannot be read ({error}); correct `source.path`") from error
    if not isinstance(config, dict):
        raise UserError(f"{place}: {folder / 'config.json'} holds no object with names; fetch or save it again")
    return sizes_of_config(config, place)


def sizes_of_gguf(file: Path, place: str, dtype: str | None) -> dict[str, int]:
    """Of a GGUF file; raises `UserError` if it is none, or does not name them."""
    header = read_gguf_header(file, stop_at=_GGUF_TOKENS)
    family = header.get("general.architecture")
    found = {name: header.get(f"{family}.{key}") for name, key in _GGUF.items()}
    found["vocabulary"] = found["vocabulary"] or header.get(_GGUF_TOKENS)
    found["kv_heads"] = found["kv_heads"] or found["heads"]
    found |= _of_experts(found, header.get(f"{family}.expert_shared_count"))
    plain = {name: max(value) if isinstance(value, list) else value for name, value in found.items()}
    return _complete(plain, place) | {"bytes_per_weight": 2 if dtype in ("bfloat16", "float16") else 4}


def read_lock() -> dict[str, Any]:
    """What the lock file says, by section; nothing where there is none.

    Raises:
        UserError: it is no object of JSON, as after a merge that git left open.
    """
    try:
        found = json.loads(LOCK_FILE.read_text(encoding="utf-8")) if LOCK_FILE.exists() else {}
    except (OSError, ValueError) as error:
        raise UserError(f"{LOCK_FILE} cannot be read ({error}): restore it, as from git") from error
    if not (isinstance(found, dict) and all(isinstance(section, dict) for section in found.values())):
        raise UserError(f"{LOCK_FILE} does not name commits and sizes by section: restore it, as from git")
    return found


def locked_sizes(name: str, revision: str | None, file: str | None = None) -> dict[str, int] | None:
    """Of a model of the hub, at `revision` or else at the locked one; None if it was not registered yet.

    `file` is which of the repository's files, if one is a model.
    """
    lock = read_lock()
    commit = revision or lock.get("models", {}).get(name)
    return lock.get("sizes", {}).get(f"{name}/{file}@{commit}" if file else f"{name}@{commit}")


def _of_experts(found: Mapping[str, Any], n_shared: int | None) -> dict[str, Any]:
    """Sizes of a mixture's experts, all None where a layer has one MLP.

    Experts are as wide as the MLP where nothing else is said, and so are `n_shared` experts that see every token.
    """
    if (found["experts"] or 1) < 2:
        return dict.fromkeys(("experts", "expert_width", "experts_per_token", "shared_width"))
    width = found["expert_width"] or found["intermediate"]
    shared = found["shared_width"] or ((n_shared or 0) * width if width else None)
    return {"expert_width": width, "shared_width": shared or None}


def _first(config: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """A list has a size a layer: the largest counts."""
    values = (config.get(name) for name in names)
    value = next((each for each in values if each is not None), None)
    return max(value) if isinstance(value, list) and value else value


def _complete(found: Mapping[str, Any], place: str) -> dict[str, int]:
    wrong = [name for name, value in found.items() if name not in OPTIONAL and (type(value) is not int or value < 1)]
    if wrong:
        raise UserError(
            f"{place}: the model's files name no {', '.join(wrong)} that is a whole number above 0; restore them, "
            "or say `shape` by hand"
        )
    return {name: value for name, value in found.items() if value is not None}
