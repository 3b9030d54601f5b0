"""How codes that compress layers are compared: equal layers and states, time in turn, memory apart, differences."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from benchmarks.engine import CLOCKS, Machine, Size, floor_seconds
from torch import Tensor, nn
from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaRotaryEmbedding

Layers = list[nn.Module]
Positions = tuple[Tensor, Tensor]
Step = Callable[[nn.Module, Tensor, Positions], None]
"""Compresses a layer in place, and its hidden states to those that it produces then."""
Run = Callable[[Layers, Tensor, Positions], list[float]]
"""Compresses layers in place; processor time at the beginning of each, and at the end."""


@dataclass(frozen=True)
class Workload:
    """Layers with random weights, and their first one's inputs."""

    layers: Layers
    hidden: Tensor
    positions: Positions

    @classmethod
    def of(cls, size: Size) -> Workload:
        """The same each time."""
        config = size.config
        torch.manual_seed(0)
        hidden = torch.randn(size.sequences, size.length, size.hidden)
        positions = LlamaRotaryEmbedding(config)(hidden, torch.arange(size.length)[None])
        layers = [LlamaDecoderLayer(config, i).eval().requires_grad_(False) for i in range(size.layers)]
        return cls(list(layers), hidden, positions)

    def run(self, run: Run) -> tuple[Layers, list[float]]:
        """Compressed copies of the layers, and what `run` says of the time."""
        mine = deepcopy(self.layers)
        return mine, run(mine, self.hidden, self.positions)


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


def in_turn(step: Step) -> Run:
    """A code that is asked for one layer at a time."""

    def run(layers: Layers, hidden: Tensor, positions: Positions) -> list[float]:
        states, marks = hidden.clone(), [time.process_time()]
        for layer in layers:
            step(layer, states, positions)
            marks.append(time.process_time())
        return marks

    return run


HEADER = "| method | layer, tokens | code | first, CPU-s | steady | ratio | of the floor | peak MiB | difference |"


def play(match: Match, size: Size, repeats: int) -> None:
    """Print a row of the table a code: processor time in turn, the first layer apart and the best of the others."""
    floor, _ = floor_seconds(size, match.method, Machine(torch.device("cpu"), CLOCKS["cpu"]))
    work, runs = Workload.of(size), {code: load() for code, load in match.codes.items()}
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
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


def own_peak_mib() -> float:
    """Of this process since it began; `getrusage` has the peak of the process that started it, if that is larger."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024
