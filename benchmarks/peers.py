"""The engine and the scoring against the public code itself, installed or cloned beside the project: the one command.

    git clone https://github.com/locuslab/wanda && git clone https://github.com/IST-DASLab/sparsegpt
    pip install --no-deps --target llm-compressor llmcompressor compressed-tensors loguru accelerate
    pip download --no-deps --no-binary :all: gptqmodel==7.7.0 && tar xzf gptqmodel-7.7.0.tar.gz
    pip install --no-deps --target gptqmodel-7.7.0 pypcre logbar tokenicer device-smi defuser accelerate
    PYTHONPATH=workflow_scripts python -m benchmarks.peers --wanda wanda --sparsegpt sparsegpt \\
        --llm-compressor llm-compressor --gptqmodel gptqmodel-7.7.0 --harness

Each may be left out. Wanda, SparseGPT (`pruning.py`) and GPTQ (`quantisation.py`): all compress the same layers of a
Llama with random weights from the same hidden states, in turn; processor time on one thread, the first layer apart, as
it warms up; the share of what the arithmetic alone takes (`engine.py`), and the peak memory of a process that runs one
code alone. The first code of a method is what the others are compared with. Whose masks are right where they differ is
asked of the same loop in float64, on all layers and rows; of GPTQ the last column is the error of the last layer's
states.

With `--device cuda` Wanda and SparseGPT at Llama-3-8B's width in bfloat16, 128 sequences of 2048 tokens, by the time on
the wall when the GPU is done; memory is torch's there. The loop in float64 runs there, too.

The harness's own backend, which is installed, scores and generates beside ours, in turn (`evaluation.py`, which has a
command of its own for other sizes and for a GPU).
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import torch
from benchmarks.engine import LLAMA_3_8B, Size
from benchmarks.layers import Match, Workload, header, play
from benchmarks.machine import Machine
from benchmarks.pruning import pruning
from benchmarks.quantisation import quantisation

HARNESS = "--architectures llama --layers 8 --hidden 512 --head 64 --vocabulary 8192 --questions 16"
"""A model large enough for its products to be what takes the time."""


SIZES: dict[str, dict[str, Any]] = {
    "cpu": {"hidden": [512, 1024], "length": [256], "sequences": 8},
    "cuda": {"hidden": [LLAMA_3_8B.hidden], "length": [2048], "sequences": 128},
}
"""What is compared on a device where nothing else is asked for."""


def matches(options: argparse.Namespace, machine: Machine) -> dict[str, Match]:
    """What can be compared with the peers that are there, by method."""
    found: dict[str, Match] = {}
    compressor = options.llm_compressor and options.llm_compressor.resolve()
    for method, folder in {"wanda": options.wanda, "sparsegpt": options.sparsegpt}.items():
        if folder or compressor:
            found[method] = pruning(method, folder and folder.resolve(), compressor, machine)
    if options.gptqmodel:
        found["gptq"] = quantisation(options.gptqmodel, machine)
    return {method: match for method, match in found.items() if method in (options.method or found)}


def size_of(options: argparse.Namespace, hidden: int, length: int) -> Size:
    """Of layers: as wide as Llama-3-8B's they are those; else heads are 64 wide, and two of them share keys and values.

    In bfloat16 on a GPU, else in float32.
    """
    heads = hidden // 64
    shape = Size(hidden, hidden * 7 // 2, heads, heads // 2, 0, 0, 0, torch.float32)
    shape = LLAMA_3_8B if hidden == LLAMA_3_8B.hidden else shape
    dtype = torch.bfloat16 if options.device == "cuda" else torch.float32
    return replace(shape, sequences=options.sequences, length=length, layers=options.layers, dtype=dtype)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wanda", type=Path, help="a clone of locuslab/wanda")
    parser.add_argument("--sparsegpt", type=Path, help="a clone of IST-DASLab/sparsegpt")
    parser.add_argument("--llm-compressor", type=Path, help="a folder where it is installed")
    parser.add_argument("--gptqmodel", type=Path, help="a folder where it is unpacked")
    parser.add_argument("--harness", action="store_true", help="the harness's backend for models of transformers")
    parser.add_argument("--method", choices=["wanda", "sparsegpt", "gptq"], action="append", help="all if left out")
    parser.add_argument("--device", choices=SIZES, default="cpu")
    parser.add_argument("--hidden", type=int, nargs="+", help="512 and 1024; on a GPU Llama-3-8B's 4096")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--sequences", type=int, help="8; on a GPU 128")
    parser.add_argument("--length", type=int, nargs="+", help="256; on a GPU 2048")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--alone", nargs=2, metavar=("METHOD", "CODE"), help="one code, and this process's peak memory")
    options = parser.parse_args()
    for name, value in SIZES[options.device].items():
        setattr(options, name, getattr(options, name) or value)
    if options.device == "cuda" and (options.llm_compressor or options.gptqmodel or options.harness):
        parser.error("on a GPU --wanda and --sparsegpt alone; the harness's backend: python -m benchmarks.evaluation")
    torch.set_num_threads(1)
    machine = Machine.of(options.device)
    found = matches(options, machine)
    if options.alone:
        method, code = options.alone
        work = Workload.of(size_of(options, options.hidden[0], options.length[0]), machine.device)
        found[method].codes[code]()(work.layers, work.hidden, work.positions)
        print(machine.peak_mib())
        return
    if not found and not options.harness:
        parser.error("name a peer: --wanda, --sparsegpt, --llm-compressor, --gptqmodel or --harness")
    if found:
        print(header(machine))
    for match in found.values():
        for hidden, length in product(options.hidden, options.length):
            play(match, size_of(options, hidden, length), options.repeats, machine)
    if options.harness:
        from benchmarks import evaluation  # which imports the harness, and other peers' memory is to be theirs alone

        evaluation.main([*HARNESS.split()])
    print(f"<!-- load of the machine: {os.getloadavg()[2]:.1f} over 15 minutes -->")


if __name__ == "__main__":
    main()
