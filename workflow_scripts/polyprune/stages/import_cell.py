"""Make a cell from a checkpoint that somebody else made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from polyprune.artifacts.cells import join_layers
from polyprune.grammar.schemes import parse_scheme
from polyprune.log import logger
from polyprune.model.checkpoint import open_model
from polyprune.model.decoder import Decoder
from polyprune.model.foreign.files import locate_checkpoint, read_checkpoint_manifest
from polyprune.model.foreign.importing import compare_outside, import_layers
from polyprune.model.foreign.reading import ForeignMatrices
from polyprune.model.foreign.tensors import ForeignTensors
from polyprune.model.source import read_manifest


def import_cell(
    model: Path,
    checkpoint: Path,
    method: str,
    scheme: str,
    calibration: str,
    seed: int,
    updates: bool,
    output: Path,
    provenance: dict[str, Any],
) -> None:
    """Write `output` (see `artifacts/cells.py`) from the checkpoint of a manifest, beside the dense model.

    `updates`: the method changes the weights that it keeps; of others those that are not the dense ones are told of.
    """
    about, parsed = read_checkpoint_manifest(checkpoint), parse_scheme(scheme)
    decoder = Decoder(open_model(model), torch.device("cpu"))
    names = decoder.checkpoint.file_of
    foreign = ForeignMatrices(ForeignTensors(locate_checkpoint(checkpoint), about["source"]["pickles"], names))
    metadata = provenance | {
        "calibration": calibration,
        "seed": seed,
        "model_digest": read_manifest(model)["digest"],
        "dtype": decoder.dtype_name,
        "checkpoint": {name: about[name] for name in ("source", "digest")},
    }
    if parsed.dense_ends or parsed.quantises:
        share = 0.0 if parsed.quantises else parsed.removed_of(10**6) / 10**6
        ends = {0, decoder.n_layers - 1} if parsed.dense_ends else set[int]()
        metadata |= {"layer_sparsities": [0.0 if index in ends else share for index in range(decoder.n_layers)]}
    parts = output.with_name(output.name + ".layers")
    told = import_layers(decoder, foreign, parsed, updates, parts, metadata)
    compare_outside(decoder, foreign, told)
    notes = [*told.notes(method, updates), *foreign.layout.remarks]
    outside = told.differences()
    join_layers(parts, decoder.n_layers, output, metadata, notes, {"differences": outside} if outside else {})
    logger.info("%s from %s", output, foreign.tensors.folder)
