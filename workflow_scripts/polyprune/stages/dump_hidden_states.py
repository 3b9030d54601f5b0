"""What a compressed model does to the hidden states and predictions of the dense one, in every evaluation language."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polyprune.artifacts.cells import CellReader
from polyprune.artifacts.hidden_states import save_hidden_states
from polyprune.artifacts.tokens import load_tokens
from polyprune.errors import UserError
from polyprune.log import logger
from polyprune.model.checkpoint import open_model
from polyprune.model.decoder import Decoder, choose_device, sequences_per_batch
from polyprune.model.paired import paired_pass
from polyprune.model.source import read_manifest
from polyprune.settings import Engine


def dump_hidden_states(
    model: Path,
    cell: list[Path],
    evaluation: list[Path],
    output: list[Path],
    sampled_tokens: int,
    engine: Engine,
    provenance: dict[str, Any],
) -> None:
    """Write one dump a language (see `artifacts/hidden_states.py`).

    `cell` is the compressed weights, or empty for the dense model; `evaluation` and `output` are in the same order.
    """
    manifest = read_manifest(model)
    reader = CellReader(cell[0]) if cell else None
    if reader is not None and reader.metadata["model_digest"] != manifest["digest"]:
        raise UserError(
            f"{reader.path} was made from another version of this model than {model}; delete it and run again"
        )
    decoder = Decoder(open_model(model), choose_device(engine.device))
    for data_file, dump_file in zip(evaluation, output, strict=True):
        data = load_tokens(data_file)
        batch = sequences_per_batch(engine.tokens_per_batch, data.tokens.shape[1])
        dump = paired_pass(decoder, data, reader, batch, sampled_tokens)
        save_hidden_states(
            dump_file,
            dump,
            provenance | {"model_digest": manifest["digest"], "data": dict(data.metadata), "data_digest": data.digest},
        )
        logger.info("%s: %d sequences of %d tokens", dump_file.stem, *data.tokens.shape)
