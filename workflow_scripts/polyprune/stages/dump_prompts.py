"""What a compressed model does to the embeddings of prompts, in every language."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from polyprune.artifacts.prompt_states import write_prompt_states
from polyprune.artifacts.prompts import load_prompt_set
from polyprune.log import logger
from polyprune.model.prompts import prompt_pass
from polyprune.model.variant import open_variant
from polyprune.settings import Engine


def dump_prompts(
    model: Path,
    cell: list[Path],
    prompts: list[Path],
    output: list[Path],
    engine: Engine,
    provenance: dict[str, Any],
) -> None:
    """Write one dump a language (see `artifacts/prompt_states.py`).

    `cell` is the compressed weights, or empty for the dense model; `prompts` and `output` are in the same order.
    """
    variant = open_variant(model, cell, engine.device)
    decoder = variant.decoder
    for data_file, dump_file in zip(prompts, output, strict=True):
        data = load_prompt_set(data_file)
        n_content = np.add.reduceat(data.content.astype(np.int64), data.start[:-1])
        origin = {key: value for key, value in data.metadata.items() if key != "items"}
        about = provenance | variant.about | {"data": origin, "data_digest": data.digest}
        counts = {"n_content": n_content, "n_total": data.lengths}
        with write_prompt_states(dump_file, decoder.n_layers, decoder.d_model, data.items, counts, about) as writer:
            prompt_pass(decoder, data, variant.cell, engine.tokens_per_batch, writer)
        logger.info("%s: %d prompts, %d content tokens", dump_file.stem, len(data.items), n_content.sum())
