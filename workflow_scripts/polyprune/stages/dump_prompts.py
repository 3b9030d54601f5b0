"""What a compressed model does to the embeddings of prompts, in every language."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from polyprune.artifacts.cells import CellReader
from polyprune.artifacts.prompt_states import write_prompt_states
from polyprune.artifacts.prompts import load_prompt_set
from polyprune.errors import UserError
from polyprune.log import logger
from polyprune.model.checkpoint import open_model
from polyprune.model.decoder import Decoder, choose_device
from polyprune.model.prompts import prompt_pass
from polyprune.model.source import read_manifest
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
    manifest = read_manifest(model)
    reader = CellReader(cell[0]) if cell else None
    if reader is not None and reader.metadata["model_digest"] != manifest["digest"]:
        raise UserError(
            f"{reader.path} was made from another version of this model than {model}; delete it and run again"
        )
    decoder = Decoder(open_model(model), choose_device(engine.device))
    for data_file, dump_file in zip(prompts, output, strict=True):
        data = load_prompt_set(data_file)
        n_content = np.add.reduceat(data.content.astype(np.int64), data.start[:-1])
        origin = {key: value for key, value in data.metadata.items() if key != "items"}
        about = provenance | {"model_digest": manifest["digest"], "data": origin, "data_digest": data.digest}
        counts = {"n_content": n_content, "n_total": data.lengths}
        with write_prompt_states(dump_file, decoder.n_layers, decoder.d_model, data.items, counts, about) as writer:
            prompt_pass(decoder, data, reader, engine.tokens_per_batch, writer)
        logger.info("%s: %d prompts, %d content tokens", dump_file.stem, len(data.items), n_content.sum())
