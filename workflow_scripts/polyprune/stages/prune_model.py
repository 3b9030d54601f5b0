"""Compress a model by one method at one scheme: the cell."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch

from polyprune.artifacts.cells import finished_allocation, join_layers, save_allocation
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
    seed: int,
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
        "dtype": decoder.dtype_name,
    }
    logger.info("%s %s on %d x %d tokens, %s", method, scheme, *calibration.tokens.shape, decoder.device)
    batch = sequences_per_batch(engine.tokens_per_batch, calibration.tokens.shape[1])
    module = cast(Method, importlib.import_module(f"polyprune.methods.{method}"))
    parts = output.with_name(output.name + ".layers")
    data, offload = torch.from_numpy(calibration.tokens), engine.offload == "cpu"
    job = Job(parse_scheme(scheme), compression, len(data), seed)
    if job.scheme.owl:
        sparsities = finished_allocation(parts, metadata)
        if sparsities is None:
            allocation = importlib.import_module("polyprune.model.allocation")
            sparsities = allocation.owl_sparsities(decoder, data, job.scheme, compression["owl"], batch, offload)
            save_allocation(parts, sparsities, metadata)
        job = replace(job, layer_sparsities=sparsities)
        metadata |= {"layer_sparsities": [float(value) for value in sparsities]}
    compress(decoder, data, module, job, batch, parts, metadata, offload)
    join_layers(parts, decoder.n_layers, output, metadata)
