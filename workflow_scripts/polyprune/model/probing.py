"""Whether a model can be compressed, found out before any job runs: one layer of each kind, and a few tokens.

A layer's kind is what weights it has. Of each the first is loaded, a few tokens go through it, and it must

* take part in the forward pass with all its matrices (`statistics.anatomy`),
* not let a token change what comes before it,
* give finite hidden states that do not depend on which sequences share a batch.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from polyprune.errors import UserError
from polyprune.log import logger
from polyprune.model.arithmetic import dtype_by_speed
from polyprune.model.calls import through
from polyprune.model.checkpoint import Checkpoint
from polyprune.model.decoder import Decoder
from polyprune.model.statistics import PROBE_TOKENS, anatomy

_CLOSE = 0.02
"""Largest change of a hidden state, as a share of the largest, that a 16-bit layer's rounding may make."""


def probe_folder(folder: Path, dtype: str | None, device: str) -> str | None:
    """Probe the model in a folder as it is going to be used: in `dtype`; if that is None, in its own or a faster one.

    `device` is `engine.device`. Returns the faster dtype if it was chosen; raises `UserError` like `probe`.
    """
    chosen = dtype_by_speed(folder, device) if dtype is None else None
    probe(Decoder(Checkpoint(folder, chosen or dtype), torch.device("cpu")))
    return chosen


@torch.inference_mode()
def probe(decoder: Decoder) -> None:
    """Raises `UserError`, by name and reason, where the model cannot be walked or compressed."""
    architecture = decoder.checkpoint.architecture
    size = min(decoder.config.vocab_size, 1000)
    tokens = torch.arange(2 * PROBE_TOKENS).reshape(2, -1) * 7 % (size - 2) + 2
    kinds: dict[tuple[tuple[str, tuple[int, ...]], ...], int] = {}
    for index, layer in enumerate(decoder.layers):
        kinds.setdefault(tuple((name, tuple(tensor.shape)) for name, tensor in layer.state_dict().items()), index)
    hidden, calls = decoder.embed(tokens, 2)
    _, short_calls = decoder.embed(tokens[:1, :-1], 1)
    for index in kinds.values():
        where = f"{architecture} cannot be walked: decoder layer {index}"
        with decoder.loaded(index) as layer:
            try:
                one = through(layer, hidden[:1].to(decoder.device), calls[index])
                both = through(layer, hidden.to(decoder.device), calls[index])
                shorter = through(layer, hidden[:1, :-1].to(decoder.device), short_calls[index])
            except (RuntimeError, ValueError, TypeError, AttributeError, IndexError, KeyError) as error:
                said = " ".join(str(error).split())
                raise UserError(f"{where} fails on its own ({type(error).__name__}: {said})") from error
            _require(torch.isfinite(both).all(), f"{where} gives states that are not finite")
            _require(_close(one, both[:1]), f"{where} treats a sequence otherwise in a batch than alone")
            _require(_close(shorter, one[:, :-1]), f"{where} lets a token change what comes before it")
            anatomy(
                layer, decoder.products(index), hidden[:1].to(decoder.device), calls[index], f"{decoder.prefix}.{index}"
            )
    logger.info("%s: %d kinds of layers among %d can be walked", architecture, len(kinds), decoder.n_layers)


def _close(ours: Tensor, theirs: Tensor) -> bool:
    return bool((ours.float() - theirs.float()).abs().max() <= _CLOSE * theirs.float().abs().max())


def _require(holds: Tensor | bool, otherwise: str) -> None:
    if not holds:
        raise UserError(otherwise)
