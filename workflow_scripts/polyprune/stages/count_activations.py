"""How often and how strongly the MLP neurons of a model respond to a text, and what its channels carry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from polyprune.artifacts.activations import write_activations
from polyprune.artifacts.tokens import load_tokens
from polyprune.log import logger
from polyprune.model.activations import HOOKS, activation_pass, tokens_of_blocks
from polyprune.model.decoder import sequences_per_batch
from polyprune.model.variant import open_variants
from polyprune.settings.engine import Engine


def count_activations(
    model: Path,
    cell: list[Path],
    evaluation: Path,
    activation_tokens: int,
    output: Path,
    device: torch.device,
    engine: Engine,
    provenance: dict[str, Any],
) -> None:
    """Write `output` (see `artifacts/activations.py`). `cell` is the compressed weights; empty: dense."""
    variants = open_variants(model, cell, device)
    decoder, (variant,) = variants.decoder, variants
    data = load_tokens(evaluation, variants.of_text).first(activation_tokens)
    batch = sequences_per_batch(engine.tokens_per_batch, data.tokens.shape[1])
    attributes = variants.attributes(variant, data, HOOKS, provenance)
    with write_activations(output, decoder.n_layers, tokens_of_blocks(data), attributes) as writer:
        activation_pass(decoder, data, variant, batch, writer)
    logger.info("%s: %d sequences of %d tokens, %d layers", output.stem, *data.tokens.shape, decoder.n_layers)
