"""What compressed models do to the hidden states and predictions of the dense one, in every evaluation language."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from polyprune.artifacts.hidden_states import write_hidden_states
from polyprune.artifacts.tokens import load_tokens
from polyprune.log import logger
from polyprune.model.decoder import sequences_per_batch
from polyprune.model.dumps import open_dumps
from polyprune.model.paired import paired_pass, sample_of
from polyprune.settings.engine import Engine


def dump_hidden_states(
    model: Path,
    cell: list[Path],
    evaluation: list[Path],
    output: list[Path],
    sampled_tokens: int,
    device: torch.device,
    engine: Engine,
    provenance: dict[str, Any],
) -> None:
    """Write one dump a variant and language (see `artifacts/hidden_states.py`).

    `cell` is the compressed weights of one or more variants, or empty for the dense model; `evaluation` has a file a
    language; `output` has each variant's dumps in that order, one variant after the other.
    """
    dumps = open_dumps(model, cell, output, device, provenance)
    decoder = dumps.variants.decoder
    for language, data_file in enumerate(evaluation):
        data = load_tokens(data_file, dumps.variants.of_text)
        n_sequences, length = data.tokens.shape
        sample = sample_of(data, sampled_tokens)
        write = partial(
            write_hidden_states,
            n_layers=decoder.n_layers,
            d_model=decoder.d_model,
            n_content=np.full(n_sequences, length),
            sample=sample,
            dtype=decoder.dtype_name,
        )
        batch = sequences_per_batch(engine.tokens_per_batch, length)
        with dumps.of_text(language, data, write) as (cells, writers):
            if writers:
                paired_pass(decoder, data, cells, batch, sample, writers, engine.offload == "cpu")
        logger.info("%s: %d sequences of %d tokens", data_file.stem, n_sequences, length)
    dumps.finish()
