"""Compress a model by one method at one scheme: the cell."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch

from polyprune.artifacts.cells import join_layers
from polyprune.grammar.calibrations import parse_calibration
from polyprune.grammar.schemes import parse_scheme
from polyprune.log import logger
from polyprune.methods.job import Job, Method
from polyprune.model.calibration import open_calibration
from polyprune.model.compression import compress
from polyprune.settings.engine import Engine


def prune_model(
    model: Path,
    tokens: Path,
    allocation: list[Path],
    method: str,
    scheme: str,
    calibration: str,
    seed: int,
    compression: dict[str, Any],
    output: Path,
    device: torch.device,
    engine: Engine,
    provenance: dict[str, Any],
) -> None:
    """Write `output` (see `artifacts/cells.py`); its finished layers stay in `{output}.layers/` until it is whole.

    `allocation` is one file if the scheme gives layers sparsities of their own, which follow from it, else empty.
    """
    asked = parse_calibration(calibration)
    text = open_calibration(model, tokens, device, engine, languages=list(asked.languages), seed=seed)
    decoder = text.decoder
    metadata = provenance | text.digests | {"dtype": decoder.dtype_name}
    logger.info("%s %s on %d x %d tokens, %s", method, scheme, *text.tokens.shape, decoder.device)
    module = cast(Method, importlib.import_module(f"polyprune.methods.{method}"))
    sequential = compression.get(method, {}).get("true_sequential", False)
    job = Job(
        parse_scheme(scheme),
        compression,
        len(text.tokens),
        seed,
        true_sequential=sequential,
        all_experts=compression.get("experts") == "all",
        shared_heads=_shares_heads(decoder.config),
        routers=compression.get("routers") == "compressed",
        languages=asked.by_language(len(text.tokens)) if hasattr(module.statistic, "joined") else (),
    )
    if job.scheme.allocation:
        allocate = importlib.import_module("polyprune.model.allocation").allocated
        spread = compression[job.scheme.allocation]["spread"]
        sparsities = allocate(allocation[0], text.digests, job.scheme, spread)
        job = replace(job, layer_sparsities=sparsities)
        metadata |= {"layer_sparsities": [float(value) for value in sparsities]}
    parts = output.with_name(output.name + ".layers")
    compress(text, module, job, parts, metadata)
    join_layers(parts, decoder.n_layers, output, metadata)


def _shares_heads(config: object) -> bool:
    """Whether several query heads of a model share a key and a value head."""
    heads = getattr(config, "num_attention_heads", None)
    return getattr(config, "num_key_value_heads", heads) != heads
