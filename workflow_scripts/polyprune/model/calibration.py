"""A model and its calibration shard, opened together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from polyprune.artifacts.tokens import load_tokens
from polyprune.model.calls import LayerCall
from polyprune.model.checkpoint import open_model
from polyprune.model.decoder import Decoder, sequences_per_batch
from polyprune.model.source import read_manifest
from polyprune.model.statistics import PROBE_TOKENS
from polyprune.settings.engine import Engine


@dataclass(frozen=True)
class Calibration:
    """`tokens` is (n_sequences, sequence_length), `batch` how many sequences to send through a layer at once."""

    decoder: Decoder
    tokens: Tensor
    batch: int
    offload: bool
    digests: dict[str, str]


MOST_ON_CPU = 512
"""Tokens of a batch on a CPU. More are no faster, and take memory that the system clears for each batch anew."""


class Flow:
    """Hidden states of all calibration sequences on their way through the layers, and what layers are called with."""

    def __init__(self, calibration: Calibration) -> None:
        decoder, tokens = calibration.decoder, calibration.tokens
        self._device = decoder.device
        self.hidden, self.calls = decoder.embed(tokens, calibration.batch, calibration.offload)
        _, self._short_calls = decoder.embed(tokens[:1, :PROBE_TOKENS], 1)

    def few(self, index: int) -> tuple[Tensor, LayerCall]:
        """A few tokens that show what layer `index` is like, and its call for them."""
        return self.hidden[:1, :PROBE_TOKENS].to(self._device), self._short_calls[index]


def calibration_batch(tokens_per_batch: int, sequence_length: int, device: torch.device) -> int:
    """How many sequences go through a layer at once: as many as fit the budget, on a CPU `MOST_ON_CPU`, or else one."""
    most = min(tokens_per_batch, MOST_ON_CPU) if device.type == "cpu" else tokens_per_batch
    return sequences_per_batch(most, sequence_length)


def open_calibration(model: Path, tokens: Path, device: torch.device, engine: Engine, **expected: Any) -> Calibration:
    """From a manifest and a token file, whose header has the entries `expected`.

    Raises:
        UserError: the shard was made for another version of the model, or is another.
    """
    manifest = read_manifest(model)
    shard = load_tokens(tokens, {"model_digest": manifest["digest"], **expected})
    return Calibration(
        Decoder(open_model(model), device),
        torch.from_numpy(shard.tokens),
        calibration_batch(engine.tokens_per_batch, shard.tokens.shape[1], device),
        engine.offload == "cpu",
        {"model_digest": manifest["digest"], "calibration_digest": shard.digest},
    )
