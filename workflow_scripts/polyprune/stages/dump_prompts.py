"""What compressed models do to the embeddings of prompts, in every language."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from polyprune.artifacts.prompt_states import write_prompt_states
from polyprune.artifacts.prompts import load_prompt_set
from polyprune.log import logger
from polyprune.model.dumps import open_dumps
from polyprune.model.prompts import prompt_pass
from polyprune.settings.engine import Engine


def dump_prompts(
    model: Path,
    cell: list[Path],
    prompts: list[Path],
    output: list[Path],
    device: torch.device,
    engine: Engine,
    provenance: dict[str, Any],
) -> None:
    """Write one dump a variant and language (see `artifacts/prompt_states.py`).

    `cell` is the compressed weights of one or more variants, or empty for the dense model; `prompts` has a file a
    language; `output` has each variant's dumps in that order, one variant after the other.
    """
    dumps = open_dumps(model, cell, output, device, provenance)
    decoder = dumps.variants.decoder
    for language, data_file in enumerate(prompts):
        data = load_prompt_set(data_file, dumps.variants.of_text)
        n_content = np.add.reduceat(data.content.astype(np.int64), data.start[:-1])
        write = partial(
            write_prompt_states,
            n_layers=decoder.n_layers,
            d_model=decoder.d_model,
            items=data.items,
            n_content=n_content,
            n_total=data.lengths,
        )
        with dumps.of_text(language, data, write) as (cells, writers):
            if writers:
                prompt_pass(decoder, data, cells, engine.tokens_per_batch, writers, engine.offload == "cpu")
        logger.info("%s: %d prompts, %d content tokens", data_file.stem, len(data.items), n_content.sum())
    dumps.finish()
