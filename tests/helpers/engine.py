"""Cells made by the engine itself, without the stage around it, and models that have their weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from polyprune.artifacts.cells import CellReader, join_layers
from polyprune.grammar.schemes import parse_scheme
from polyprune.methods import alps, awq, dsnot, gptq, lwanda, magnitude, random, ria, sparsegpt, wanda
from polyprune.methods.job import Job
from polyprune.model.calibration import Calibration
from polyprune.model.checkpoint import Checkpoint
from polyprune.model.compression import compress
from polyprune.model.decoder import Decoder

CPU = torch.device("cpu")
METHODS: dict[str, Any] = {
    "alps": alps, "awq": awq, "dsnot": dsnot, "gptq": gptq, "lwanda": lwanda, "magnitude": magnitude,
    "random": random, "ria": ria, "sparsegpt": sparsegpt, "wanda": wanda,
}  # fmt: skip
SETTINGS: dict[str, Any] = {
    "damping": 0.01,
    "block_size": 128,
    "ria": {"exponent": 0.5, "per_row": False},
    "dsnot": {"threshold": 0.1, "max_cycles": 5, "same_sign": False},
    "lwanda": {"weight": 1.0},
    "alps": {"max_iterations": 60, "refit_iterations": 10},
}


def run_engine(
    folder: Path,
    tokens: Tensor,
    method: str,
    scheme: str,
    out: Path,
    batch: int = 3,
    offload: bool = False,
    metadata: dict[str, Any] | None = None,
    all_experts: bool = False,
    shared_heads: bool = False,
    routers: bool = False,
    languages: tuple[slice, ...] = (),
    device: torch.device = CPU,
    **settings: Any,
) -> CellReader:
    """The cell of the model in `folder`; `settings` are set on top of `SETTINGS`."""
    calibration = Calibration(Decoder(Checkpoint(folder), device), tokens, batch, offload, {})
    sequential = settings.get(method, {}).get("true_sequential", False)
    about = (sequential, all_experts, shared_heads, routers, languages)
    job = Job(parse_scheme(scheme), {**SETTINGS, **settings}, len(tokens), 3, None, *about)
    identity = {"job": "test", "method": method, "scheme": scheme} | (metadata or {})
    compress(calibration, METHODS[method], job, out.with_suffix(".layers"), identity)
    join_layers(out.with_suffix(".layers"), calibration.decoder.n_layers, out, identity)
    return CellReader(out)


def put_weights(model: PreTrainedModel, cell: CellReader) -> None:
    """Give a model of transformers the cell's weights."""
    for name, module in model.named_modules():
        kept = cell.weight(name)
        if kept is not None and isinstance(module, torch.nn.Linear):
            module.weight.data = kept.dense(module.weight.data)


def linears_of(layer: nn.Module) -> dict[str, nn.Linear]:
    """The linear layers of a decoder layer by name, in order of definition."""
    return {name: module for name, module in layer.named_modules() if type(module) is nn.Linear}
