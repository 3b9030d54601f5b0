"""GPTQ by the engine against GPTQModel's own class, in one process.

    pip download --no-deps --no-binary :all: gptqmodel==7.7.0 && tar xzf gptqmodel-7.7.0.tar.gz
    pip install --no-deps --target gptqmodel-7.7.0 pypcre logbar tokenicer device-smi defuser accelerate
    PYTHONPATH=workflow_scripts python -m benchmarks.quantisation --gptqmodel gptqmodel-7.7.0

Both quantise the same layers of a Llama with random weights from the same hidden states, in turn, to 4 bits in groups
of 128 (symmetric, columns as stored, damping 0.1), matrices by their order in the layer, each on what those before it
produce when they are quantised; processor time on one thread. GPTQModel's `GPTQ` runs as it is, and matrices with one
input share a Hessian and its factor by its own means; the walk through the layer around it is ours, one sequence at a
time as there.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import subprocess
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from benchmarks.engine import Size, compress, linears_of
from benchmarks.peers import Layers, own_peak_mib, workload
from torch import Tensor, nn

from polyprune.grammar.schemes import parse_scheme
from polyprune.methods import gptq
from polyprune.methods.job import Job

DAMPING = 0.1
STEPS = [["q_proj", "k_proj", "v_proj"], ["o_proj"], ["gate_proj", "up_proj"], ["down_proj"]]
Quantise = Callable[[nn.Module, Tensor, tuple[Tensor, Tensor]], None]
"""A layer in place, and its hidden states to those that it produces then."""


def ours(layer: nn.Module, hidden: Tensor, positions: tuple[Tensor, Tensor]) -> None:
    settings = {"damping": DAMPING, "symmetric": True, "act_order": False, "static_groups": False}
    job = Job(parse_scheme("w4g128"), {"gptq": settings}, len(hidden), true_sequential=True)
    compress(layer, hidden, positions, gptq, job)


def gptqmodel(folder: Path) -> Quantise:
    sys.path.append(str(folder.resolve()))
    theirs: Any = importlib.import_module("gptqmodel.quantization.gptq")
    config: Any = importlib.import_module("gptqmodel.quantization.config").QuantizeConfig
    logging.disable(logging.WARNING)
    asked = config(bits=4, group_size=128, sym=True, desc_act=False, act_group_aware=False, damp_percent=DAMPING)

    @torch.inference_mode()
    def quantise(layer: nn.Module, hidden: Tensor, positions: tuple[Tensor, Tensor]) -> None:
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

    return quantise


def run(quantise: Quantise, layers: Layers, hidden: Tensor, positions: tuple[Tensor, Tensor]) -> list[float]:
    """Processor time of each layer; `hidden` becomes what the last one produces."""
    seconds = []
    for layer in layers:
        began = time.process_time()
        quantise(layer, hidden, positions)
        seconds.append(time.process_time() - began)
    return seconds


def peak_mib(code: str, width: int) -> float:
    """Of a process that runs this code alone."""
    command = [sys.executable, "-m", "benchmarks.quantisation", *sys.argv[1:], "--hidden", str(width), "--alone", code]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


def compare(codes: dict[str, Quantise], size: Size, repeats: int) -> None:
    layers, hidden, positions = workload(size)
    dense = hidden.clone()
    with torch.inference_mode():
        for layer in layers:
            dense = torch.cat([layer(row[None], position_embeddings=positions) for row in dense])
    steady, first, made, states = dict[str, float](), dict[str, float](), dict[str, Layers](), dict[str, Tensor]()
    for _ in range(repeats):
        for code, quantise in codes.items():
            made[code], states[code] = deepcopy(layers), hidden.clone()
            seconds = run(quantise, made[code], states[code], positions)
            first.setdefault(code, seconds[0])
            steady[code] = min(steady.get(code, seconds[1]), *seconds[1:])
    for code in codes:
        error = ((states[code] - dense).norm() / dense.norm()).item()
        print(
            f"| gptq w4g128 | {size.hidden} x {size.intermediate}, {size.sequences} x {size.length} | {code} "
            f"| {first[code]:.2f} | {steady[code]:.2f} | {steady['GPTQModel'] / steady[code]:.2f} "
            f"| {peak_mib(code, size.hidden):.0f} | {error:.5f} |",
            flush=True,
        )
    pairs = zip(made["GPTQModel"], made["engine"], strict=True)
    print(f"<!-- equal weights by layer: {', '.join(f'{equal_weights(*pair):.3%}' for pair in pairs)} -->")


def equal_weights(one: nn.Module, other: nn.Module) -> float:
    """Share of weights of two layers that differ by less than a thousandth of the largest."""
    pairs = list(zip(linears_of(one).values(), linears_of(other).values(), strict=True))
    close = [(a.weight - b.weight).abs() < 1e-3 * a.weight.abs().max() for a, b in pairs]
    return torch.cat([each.flatten() for each in close]).double().mean().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gptqmodel", type=Path, required=True, help="a folder where it is unpacked")
    parser.add_argument("--hidden", type=int, nargs="+", default=[512, 1024])
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--alone", metavar="CODE", help="one code, and this process's peak memory")
    options = parser.parse_args()
    torch.set_num_threads(1)
    codes: dict[str, Quantise] = {"GPTQModel": gptqmodel(options.gptqmodel), "engine": ours}

    def size(width: int) -> Size:
        return Size(width, width * 7 // 2, width // 64, width // 128, 8, 256, options.layers, torch.float32)

    if options.alone:
        run(codes[options.alone], *workload(size(options.hidden[0])))
        print(own_peak_mib())
        return
    print("| method | layer, tokens | code | first, CPU-s | steady | ratio | peak MiB | error of the last states |")
    print("|---|---|---|---|---|---|---|---|")
    for width in options.hidden:
        compare(codes, size(width), options.repeats)


if __name__ == "__main__":
    main()
