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
asked of the same loop in float64; of GPTQ the last column is the error of the last layer's states.

The harness's own backend, which is installed, scores and generates beside ours, in turn (`evaluation.py`, which has a
command of its own for other sizes and for a GPU).
"""

from __future__ import annotations

import argparse
import os
from itertools import product
from pathlib import Path

import torch
from benchmarks.engine import Size
from benchmarks.layers import HEADER, Match, Workload, own_peak_mib, play
from benchmarks.pruning import pruning
from benchmarks.quantisation import quantisation

HARNESS = "--architectures llama --layers 8 --hidden 512 --head 64 --vocabulary 8192 --questions 16"
"""A model large enough for its products to be what takes the time."""


def matches(options: argparse.Namespace) -> dict[str, Match]:
    """What can be compared with the peers that are there, by method."""
    found: dict[str, Match] = {}
    compressor = options.llm_compressor and options.llm_compressor.resolve()
    for method, folder in {"wanda": options.wanda, "sparsegpt": options.sparsegpt}.items():
        if folder or compressor:
            found[method] = pruning(method, folder and folder.resolve(), compressor)
    if options.gptqmodel:
        found["gptq"] = quantisation(options.gptqmodel)
    return {method: match for method, match in found.items() if method in (options.method or found)}


def size_of(options: argparse.Namespace, hidden: int, length: int) -> Size:
    """Of layers; heads are 64 wide, and two of them share keys and values."""
    heads, shape = hidden // 64, (options.sequences, length, options.layers)
    return Size(hidden, hidden * 7 // 2, heads, heads // 2, *shape, torch.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wanda", type=Path, help="a clone of locuslab/wanda")
    parser.add_argument("--sparsegpt", type=Path, help="a clone of IST-DASLab/sparsegpt")
    parser.add_argument("--llm-compressor", type=Path, help="a folder where it is installed")
    parser.add_argument("--gptqmodel", type=Path, help="a folder where it is unpacked")
    parser.add_argument("--harness", action="store_true", help="the harness's backend for models of transformers")
    parser.add_argument("--method", choices=["wanda", "sparsegpt", "gptq"], action="append", help="all if left out")
    parser.add_argument("--hidden", type=int, nargs="+", default=[512, 1024])
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--sequences", type=int, default=8)
    parser.add_argument("--length", type=int, nargs="+", default=[256])
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--alone", nargs=2, metavar=("METHOD", "CODE"), help="one code, and this process's peak memory")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = matches(options)
    if options.alone:
        method, code = options.alone
        work = Workload.of(size_of(options, options.hidden[0], options.length[0]))
        found[method].codes[code]()(work.layers, work.hidden, work.positions)
        print(own_peak_mib())
        return
    if not found and not options.harness:
        parser.error("name a peer: --wanda, --sparsegpt, --llm-compressor, --gptqmodel or --harness")
    if found:
        print(HEADER, "|---|---|---|---|---|---|---|---|---|", sep="\n")
    for match in found.values():
        for hidden, length in product(options.hidden, options.length):
            play(match, size_of(options, hidden, length), options.repeats)
    if options.harness:
        from benchmarks import evaluation  # which imports the harness, and other peers' memory is to be theirs alone

        evaluation.main([*HARNESS.split()])
    print(f"<!-- load of the machine: {os.getloadavg()[2]:.1f} over 15 minutes -->")


if __name__ == "__main__":
    main()
