"""GPTQ by GPTQModel's own class and by the engine, as codes that compress layers.

Both quantise to 4 bits in groups of 128 (symmetric, columns as stored, damping 0.1), matrices by their order in the
layer, each on what those before it produce when they are quantised. GPTQModel's `GPTQ` runs as it is, and matrices with
one input share a Hessian and its factor by its own means; the walk through the layer around it is ours, one sequence at
a time as there.
"""

from __future__ import annotations

import importlib
import logging
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
from benchmarks.engine import compress, linears_of
from benchmarks.layers import Layers, Made, Match, Positions, Run, Workload, in_turn
from benchmarks.machine import Machine
from torch import Tensor, nn

from polyprune.grammar.schemes import parse_scheme
from polyprune.methods import gptq
from polyprune.methods.job import Job

DAMPING = 0.1
STEPS = [["q_proj", "k_proj", "v_proj"], ["o_proj"], ["gate_proj", "up_proj"], ["down_proj"]]


def quantisation(folder: Path, machine: Machine) -> Match:
    """GPTQ by GPTQModel, which is unpacked in `folder`, and by the engine."""

    def differences(work: Workload, made: Made) -> dict[str, str]:
        """How far the last layer's states are off, as a share of the dense ones."""
        dense = pushed(work, work.layers)
        errors = {code: (pushed(work, layers) - dense).norm() / dense.norm() for code, layers in made.items()}
        return {code: f"{error.item():.5f}" for code, error in errors.items()}

    def remarks(made: Made) -> list[str]:
        pairs = zip(made["GPTQModel"], made["engine"], strict=True)
        return [f"equal weights by layer: {', '.join(f'{equal_weights(*pair):.3%}' for pair in pairs)}"]

    codes = {"GPTQModel": partial(gptqmodel, folder, machine), "engine": partial(in_turn, ours, machine)}
    return Match("gptq", codes, differences, remarks)


@torch.inference_mode()
def pushed(work: Workload, layers: Layers) -> Tensor:
    """The last layer's states."""
    states = work.hidden
    for layer in layers:
        states = torch.cat([layer(row[None], position_embeddings=work.positions) for row in states])
    return states


def ours(layer: nn.Module, hidden: Tensor, positions: Positions) -> None:
    settings = {"damping": DAMPING, "symmetric": True, "act_order": False, "static_groups": False}
    job = Job(parse_scheme("w4g128"), {"gptq": settings}, len(hidden), true_sequential=True)
    compress(layer, hidden, positions, gptq, job)


def gptqmodel(folder: Path, machine: Machine) -> Run:
    sys.path.append(str(folder.resolve()))
    theirs: Any = importlib.import_module("gptqmodel.quantization.gptq")
    config: Any = importlib.import_module("gptqmodel.quantization.config").QuantizeConfig
    logging.disable(logging.WARNING)
    asked = config(bits=4, group_size=128, sym=True, desc_act=False, act_group_aware=False, damp_percent=DAMPING)

    @torch.inference_mode()
    def quantise(layer: nn.Module, hidden: Tensor, positions: Positions) -> None:
        linears = {name.rpartition(".")[2]: linear for name, linear in linears_of(layer).items()}
        for names in STEPS:
            tasks = [theirs.GPTQ(linears[name], asked) for name in names]
            for task in tasks:
                task.quantizer.configure(perchannel=True)
            hook = linears[names[0]].register_forward_hook(lambda _, x, y, task=tasks[0]: task.add_batch(x[0], y))
            for row in range(len(hidden)):
                layer(hidden[row : row + 1], position_embeddings=positions)
            hook.remove()
            cache = theirs.SharedHessianFactorCache(0, "benchmark") if len(tasks) > 1 else None
            for task in tasks[1:]:
                task.adopt_hessian_from(tasks[0])
            for name, task in zip(names, tasks, strict=True):
                task.attach_shared_hessian_cache(cache)
                linears[name].weight.data = task.quantize()[0]
        for row in range(len(hidden)):
            hidden[row] = layer(hidden[row : row + 1], position_embeddings=positions)[0]

    return in_turn(quantise, machine)


def equal_weights(one: nn.Module, other: nn.Module) -> float:
    """Share of weights of two layers that differ by less than a thousandth of the largest."""
    pairs = list(zip(linears_of(one).values(), linears_of(other).values(), strict=True))
    close = [(a.weight - b.weight).abs() < 1e-3 * a.weight.abs().max() for a, b in pairs]
    return torch.cat([each.flatten() for each in close]).double().mean().item()
