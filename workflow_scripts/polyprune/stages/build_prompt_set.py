"""Prompts in a model's chat template and tokens, with a mask of the user's words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polyprune.artifacts.prompts import TEXT, load_prompts, save_prompt_set
from polyprune.artifacts.tables import origin_of
from polyprune.log import logger
from polyprune.model.chat import open_chat_tokenizer, template_digest, tokenise_prompts
from polyprune.model.prompting import locate_prompting
from polyprune.model.source import read_manifest
from polyprune.provenance import file_digest


def build_prompt_set(
    model: Path,
    prompting: Path,
    prompts: list[Path],
    max_positions: int,
    output: list[Path],
    provenance: dict[str, Any],
) -> None:
    """Write one file a language (see `artifacts/prompts.py`)."""
    folder = locate_prompting(prompting, model)
    tokenizer = open_chat_tokenizer(folder)
    metadata = provenance | {
        "model_digest": read_manifest(model)["digest"],
        "tokenizer_digest": file_digest(folder / "tokenizer.json"),
        "split": "whole",
        "template": True,
        "chat_template": template_digest(tokenizer.fast),
        "content": "tokens with a character of the user's text",
    }
    for source, target in zip(prompts, output, strict=True):
        about = metadata | origin_of(source, TEXT) | {"language": source.stem}
        found = tokenise_prompts(tokenizer, load_prompts(source, {"language": source.stem}), max_positions, about)
        share = found.content.mean()
        logger.info(
            "%s: %d prompts, %d tokens, %.0f %% content", source.stem, len(found.items), found.start[-1], 100 * share
        )
        save_prompt_set(target, found)
