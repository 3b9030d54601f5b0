"""Compress a model by one method at one scheme: the cell."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, cast

import torch

from polyprune.artifacts.cells import join_layers
from polyprune.artifacts.tokens import load_tokens
from polyprune.errors import UserError
from polyprune.grammar import parse_scheme
from polyprune.log import logger
from polyprune.methods.job import Job, Method
from polyprune.model.checkpoint import open_model
from polyprune.model.compression import compress
from polyprune.model.decoder import Decoder, choose_device, sequences_per_batch
from polyprune.model.source import read_manifest
from polyprune.settings import Engine


def prune_model(
    model: Path,
    tokens: Path,
    method: str,
    scheme: str,
    compression: dict[str, Any],
    output: Path,
    engine: Engine,
    provenance: dict[str, Any],
) -> None:
    """Write `output` (see `artifacts/cells.py`); its finished layers stay in `{output}.layers/` until it is whole."""
    manifest = read_manifest(model)
    calibration = load_tokens(tokens)
    if calibration.metadata["model_digest"] != manifest["digest"]:
        raise UserError(f"{tokens} was made for another version of this model than {model}; delete it and run again")
    decoder = Decoder(open_model(model), choose_device(engine.device))
    metadata = provenance | {
        "model_digest": manifest["digest"],
        "calibration_digest": calibration.digest,
        "dtype": str(decoder.dtype).removeprefix("torch."),
    }
    logger.info("%s %s on %d x %d tokens, %s", method, scheme, *calibration.tokens.shape, decoder.device)
    job = Job(parse_scheme(scheme), compression, len(calibration.tokens))
    batch = sequences_per_batch(engine.tokens_per_batch, calibration.tokens.shape[1])
    module = cast(Method, importlib.import_module(f"polyprune.methods.{method}"))
    parts = output.with_name(output.name + ".layers")
    compress(decoder, torch.from_numpy(calibration.tokens), module, job, batch, parts, metadata)
    join_layers(parts, decoder.n_layers, output, metadata)
