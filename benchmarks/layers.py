"""How codes that compress layers are compared: equal layers and states, time in turn, memory apart, differences."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise

import torch
from benchmarks.engine import Size, floor_seconds
from benchmarks.machine import Machine
from torch import Tensor, nn
from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaRotaryEmbedding

Layers = list[nn.Module]
Positions = tuple[Tensor, Tensor]
Step = Callable[[nn.Module, Tensor, Positions], None]
"""Compresses a layer in place, and its hidden states to those that it produces then."""
Run = Callable[[Layers, Tensor, Positions], list[float]]
"""Compresses layers in place; what the machine's clock says at the beginning of each, and at the end."""


@dataclass(frozen=True)
class Workload:
    """Layers with random weights, and their first one's inputs."""

    layers: Layers
    hidden: Tensor
    positions: Positions

    @classmethod
    def of(cls, size: Size, device: torch.device) -> Workload:
        """The same each time."""
        config = size.config
        torch.manual_seed(0)
        with device:
            hidden = torch.randn(size.sequences, size.length, size.hidden, dtype=size.dtype)
            positions = LlamaRotaryEmbedding(config)(hidden, torch.arange(size.length)[None])
            layers = [LlamaDecoderLayer(config, index).to(size.dtype) for index in range(size.layers)]
        return cls([layer.eval().requires_grad_(False) for layer in layers], hidden, positions)

    def run(self, run: Run) -> tuple[Layers, list[float]]:
        """Compressed copies of the layers, and what `run` says of the time."""
        mine = deepcopy(self.layers)
        marks = run(mine, self.hidden, self.positions)
        return [layer.to(self.hidden.device) for layer in mine], marks  # the public SparseGPT leaves them on the CPU


Made = dict[str, Layers]
"""The layers that each code made."""


@dataclass(frozen=True)
class Match:
    """Codes that do the same to layers, the first of which is what the others are compared with; ours is `engine`.

    They are imported when they are called for, so that a process that runs one code alone holds no other. `differences`
    says of each code how far it is off, `remarks` what else there is to say, line by line.
    """

    method: str
    codes: dict[str, Callable[[], Run]]
    differences: Callable[[Workload, Made], dict[str, str]]
    remarks: Callable[[Made], list[str]]


def in_turn(step: Step, machine: Machine) -> Run:
    """A code that is asked for one layer at a time."""

    def run(layers: Layers, hidden: Tensor, positions: Positions) -> list[float]:
        states = hidden.clone()
        marks = [machine.now()]
        for layer in layers:
            step(layer, states, positions)
            marks.append(machine.now())
        return marks

    return run


def header(machine: Machine) -> str:
    """The first two lines of the table."""
    names = ("method", "layer, tokens", "code", f"first, {machine.unit}", "steady", "ratio", "of the floor", "peak MiB")
    return f"| {' | '.join((*names, 'difference'))} |\n{'|---' * 9}|"


def play(match: Match, size: Size, repeats: int, machine: Machine) -> None:
    """Print a row of the table a code: time in turn, the first layer apart and the best of the others."""
    floor, _ = floor_seconds(size, match.method, machine)
    work, runs = Workload.of(size, machine.device), {code: load() for code, load in match.codes.items()}
    first, steady, made = dict[str, float](), dict[str, float](), Made()
    for _ in range(repeats):
        for code, run in runs.items():
            made[code], marks = work.run(run)
            warming, *others = (after - before for before, after in pairwise(marks))
            first.setdefault(code, warming)
            steady[code] = min(steady.get(code, others[0]), *others)
    differences, peer = match.differences(work, made), next(iter(runs))
    for code, seconds in steady.items():
        print(
            f"| {match.method} | {size.hidden} x {size.intermediate}, {size.sequences} x {size.length} | {code} "
            f"| {first[code]:.2f} | {seconds:.2f} | {steady[peer] / seconds:.2f} | {floor / seconds:.0%} "
            f"| {peak_mib(match.method, code, size):.0f} | {differences[code]} |",
            flush=True,
        )
    for remark in match.remarks(made):
        print(f"<!-- {remark} -->", flush=True)


def peak_mib(method: str, code: str, size: Size) -> float:
    """Of a process that runs this code alone."""
    alone = ["--hidden", str(size.hidden), "--length", str(size.length), "--alone", method, code]
    command = [sys.executable, "-m", "benchmarks.peers", *sys.argv[1:], *alone]
    return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()[-1])
