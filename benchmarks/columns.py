"""The walk along the columns by its GPU kernel (`maths/column_kernels.py`) against the plain one, on the same device.

    PYTHONPATH=workflow_scripts python -m benchmarks.columns --device cuda

Matrices as Llama-3-8B has them that read one input, with random weights and inputs; prints the whole walk's time both
ways, and how much of the mask or the codes is the same. On a CPU both are the plain one, and small: it shows that this
runs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from unittest import mock

import torch
from benchmarks.machine import Machine
from torch import Tensor

from polyprune.grammar.schemes import parse_scheme
from polyprune.maths import gptq, sparsegpt
from polyprune.maths.cholesky import hessian_factor
from polyprune.maths.grids import GridSettings

INPUTS = {"q, k, v": ((4096, 1024, 1024), 4096), "gate, up": ((14336, 14336), 4096), "down": ((4096,), 14336)}
"""Rows of the matrices that read an input, and its width."""
GRID = GridSettings(bits=4, group_size=128, symmetric=False)
Walk = Callable[[list[Tensor], Tensor], Tensor]


def pruned(scheme: str, weights: list[Tensor], gram: Tensor) -> Tensor:
    """The mask of SparseGPT."""
    factor = hessian_factor(gram, 0.01, "a benchmark")
    return torch.cat([each.keep for each in sparsegpt.sparsegpt(weights, factor, parse_scheme(scheme))])


def quantised(weights: list[Tensor], gram: Tensor) -> Tensor:
    """The codes of GPTQ."""
    return torch.cat([each.codes for each in gptq.gptq(weights, gram, 0.01, GRID, "a benchmark")])


WALKS: dict[str, Walk] = {
    "SparseGPT 0.50": partial(pruned, "0.50"),
    "SparseGPT 2of4": partial(pruned, "2of4"),
    "GPTQ w4g128": quantised,
}


def problem(rows: tuple[int, ...], width: int, device: torch.device) -> tuple[list[Tensor], Tensor]:
    """Weights, and the Gram matrix of inputs that have something in common, of full rank."""
    torch.manual_seed(0)
    inputs = torch.randn(2 * width, width, device=device) + torch.randn(2 * width, 1, device=device)
    return [torch.randn(each, width, device=device) for each in rows], inputs.T @ inputs


def compare(walk: Walk, weights: list[Tensor], gram: Tensor, machine: Machine) -> tuple[float, float, float]:
    """Seconds of the plain walk and of the kernel's, the second of two, and the share of what comes out the same."""
    with (
        mock.patch.object(sparsegpt, "gpu_kernels", lambda _: None),
        mock.patch.object(gptq, "gpu_kernels", lambda _: None),
    ):
        plain, expected = [machine.timed(lambda: walk(weights, gram)) for _ in range(2)][-1]
    quick, found = [machine.timed(lambda: walk(weights, gram)) for _ in range(2)][-1]
    return plain, quick, (found == expected).double().mean().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    machine = Machine.of(parser.parse_args().device)
    narrower = 1 if machine.device.type == "cuda" else 32
    print(
        f"| walk | matrices | plain, {machine.unit} | kernel | ratio | the same |",
        "|---|---|---|---|---|---|",
        sep="\n",
    )
    for names, (rows, width) in INPUTS.items():
        weights, gram = problem(tuple(each // narrower for each in rows), width // narrower, machine.device)
        for name, walk in WALKS.items():
            plain, quick, same = compare(walk, weights, gram, machine)
            print(f"| {name} | {names} | {plain:.3f} | {quick:.3f} | {plain / quick:.1f} | {same:.3%} |", flush=True)


if __name__ == "__main__":
    main()
