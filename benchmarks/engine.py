"""The compression engine against a plain reading of the published loop, layer by layer, in one process.

    PYTHONPATH=workflow_scripts python -m benchmarks.engine
    PYTHONPATH=workflow_scripts python -m benchmarks.engine --method wanda --threads 1 --clock cpu

On a GPU with the shapes of Llama-3-8B, on a CPU with small ones; `--clock cpu` counts the processor time of this
process in place of the time on the wall, for a machine with other work to do.

Both compress the same layers with random weights from the same hidden states, in turn. The reference is the loop of
locuslab/wanda and IST-DASLab/sparsegpt: one sequence at a time, two whole forwards of the layer, one float32 statistic
per linear layer, an eager loop over columns. The engine is what a job runs, but for reading and writing files.

The floor is what the arithmetic alone takes: the statistics pass without products nobody reads, half of each Gram
matrix, and the second pass, at the rate of a large matrix product, measured here in the dtype of each.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from benchmarks.machine import CLOCKS, Machine
from torch import Tensor, nn
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaRotaryEmbedding

from polyprune.grammar.schemes import parse_scheme
from polyprune.methods import sparsegpt, wanda
from polyprune.methods.job import Job
from polyprune.model.calibration import calibration_batch
from polyprune.model.compression import Errors, Made, compress_layer, propagate
from polyprune.model.cpu_products import quick_products
from polyprune.model.products import Matrix, Product
from polyprune.model.statistics import PROBE_TOKENS, anatomy

METHODS: dict[str, Any] = {"wanda": wanda, "sparsegpt": sparsegpt}
SETTINGS = {"damping": 0.01, "block_size": 128}


@dataclass(frozen=True)
class Size:
    """Llama layers and calibration text."""

    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    sequences: int
    length: int
    layers: int
    dtype: torch.dtype

    @property
    def config(self) -> LlamaConfig:
        """Of layers of this size."""
        config = LlamaConfig(
            hidden_size=self.hidden,
            intermediate_size=self.intermediate,
            num_attention_heads=self.heads,
            num_key_value_heads=self.kv_heads,
            max_position_embeddings=self.length,
        )
        config._attn_implementation = "sdpa"
        return config


SMALL = Size(768, 2688, 12, 4, 8, 256, 2, torch.float32)
LLAMA_3_8B = Size(4096, 14336, 32, 8, 128, 8192, 2, torch.bfloat16)
ASKED = ("sequences", "length", "layers")
"""What of a size the command may say otherwise."""
DEPTH = 32
"""Layers of Llama-3-8B."""


# The reference


class ReferenceStatistic:
    """One linear layer's: squared norms or Hessian as running means over sequences, in float32, of float64 in that."""

    def __init__(self, linear: nn.Linear, hessian: bool) -> None:
        d_in, device, dtype = linear.in_features, linear.weight.device, at_least_float32(linear)
        self.n, self.hessian = 0, hessian
        self.value = torch.zeros((d_in, d_in) if hessian else d_in, device=device, dtype=dtype)

    def add(self, x: Tensor) -> None:
        self.value *= self.n / (self.n + 1)
        self.n += 1
        if self.hessian:
            scaled = (2 / self.n) ** 0.5 * x.t().to(self.value.dtype)
            self.value += scaled.matmul(scaled.t())
        else:
            self.value += torch.norm(x.t().to(self.value.dtype), p=2, dim=1) ** 2 / self.n


def at_least_float32(linear: nn.Linear) -> torch.dtype:
    return torch.promote_types(linear.weight.dtype, torch.float32)


def reference_wanda(linear: nn.Linear, statistic: Tensor, sparsity: float) -> None:
    weight = linear.weight.data
    scores = weight.abs() * statistic.sqrt().reshape(1, -1)
    lowest = torch.sort(scores, dim=-1, stable=True)[1][:, : int(weight.shape[1] * sparsity)]
    weight[torch.zeros_like(scores, dtype=torch.bool).scatter_(1, lowest, True)] = 0


def reference_sparsegpt(linear: nn.Linear, hessian: Tensor, sparsity: float) -> None:
    weight = linear.weight.data.clone().to(at_least_float32(linear))
    n_columns = weight.shape[1]
    dead = hessian.diagonal() == 0
    hessian[dead, dead] = 1
    weight[:, dead] = 0
    diagonal = torch.arange(n_columns, device=weight.device)
    hessian[diagonal, diagonal] += 0.01 * hessian.diagonal().mean()
    inverse = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(hessian)), upper=True)
    for start in range(0, n_columns, 128):
        stop = min(start + 128, n_columns)
        block, pruned = weight[:, start:stop].clone(), torch.zeros_like(weight[:, start:stop])
        errors, inner = torch.zeros_like(block), inverse[start:stop, start:stop]
        scores = block**2 / inner.diagonal().reshape(1, -1) ** 2
        mask = scores <= torch.sort(scores.flatten())[0][int(scores.numel() * sparsity)]
        for j in range(stop - start):
            kept = block[:, j].clone()
            kept[mask[:, j]] = 0
            pruned[:, j] = kept
            error = (block[:, j] - kept) / inner[j, j]
            block[:, j:] -= error.unsqueeze(1).matmul(inner[j, j:].unsqueeze(0))
            errors[:, j] = error
        weight[:, start:stop] = pruned
        weight[:, stop:] -= errors.matmul(inverse[start:stop, stop:])
    linear.weight.data = weight.to(linear.weight.dtype)


def linears_of(layer: nn.Module) -> dict[str, nn.Linear]:
    return {name: module for name, module in layer.named_modules() if isinstance(module, nn.Linear)}


@torch.inference_mode()
def reference(layer: nn.Module, hidden: Tensor, positions: tuple[Tensor, Tensor], method: str, sparsity: float) -> None:
    linears = linears_of(layer)
    statistics = {name: ReferenceStatistic(linear, method == "sparsegpt") for name, linear in linears.items()}

    def observe(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        return lambda _, arguments, __: statistics[name].add(arguments[0].flatten(0, 1))

    hooks = [linear.register_forward_hook(observe(name)) for name, linear in linears.items()]
    outputs = torch.empty_like(hidden)
    for row in range(len(hidden)):
        outputs[row] = layer(hidden[row : row + 1], position_embeddings=positions)[0]
    for hook in hooks:
        hook.remove()
    prune = reference_sparsegpt if method == "sparsegpt" else reference_wanda
    for name, linear in linears.items():
        prune(linear, statistics.pop(name).value, sparsity)
    for row in range(len(hidden)):
        outputs[row] = layer(hidden[row : row + 1], position_embeddings=positions)[0]
    hidden.copy_(outputs)


# The engine


def engine(layer: nn.Module, hidden: Tensor, positions: tuple[Tensor, Tensor], method: str, sparsity: str) -> None:
    compress(layer, hidden, positions, METHODS[method], Job(parse_scheme(sparsity), SETTINGS, len(hidden)))


@torch.inference_mode()
def compress(layer: nn.Module, hidden: Tensor, positions: tuple[Tensor, Tensor], method: Any, job: Job) -> None:
    """What a job does with a layer, and with the hidden states before it."""
    cosine, sine = positions
    few = {"position_embeddings": (cosine[:, :PROBE_TOKENS], sine[:, :PROBE_TOKENS])}
    call = {"position_embeddings": positions}
    batch = calibration_batch(16_384, hidden.shape[1], hidden.device)
    products = [
        Product(name, linear, "weight", False, None, (Matrix(name, f"{name}.weight", slice(None)),))
        for name, linear in linears_of(layer).items()
    ]
    found = anatomy(layer, products, hidden[:1, :PROBE_TOKENS], few, "layer")
    compress_layer(layer, products, found, hidden, call, method, job, batch, Made(), Errors())
    with quick_products(hidden.device):
        propagate(layer, hidden, call, batch)


# The floor


def floor_seconds(size: Size, method: str, machine: Machine) -> tuple[float, float]:
    """Of one layer, and the rate of products it is computed from."""
    device = machine.device
    n = 4096 if device.type == "cpu" else 16_384
    x = torch.randn(n, size.hidden, dtype=size.dtype, device=device)
    weight = torch.randn(size.intermediate, size.hidden, dtype=size.dtype, device=device)
    with torch.inference_mode(), quick_products(device):
        per_second = machine.rate(lambda: nn.functional.linear(x, weight), 2 * x.numel() * size.intermediate)
    tokens, head = size.sequences * size.length, size.hidden // size.heads
    down = size.hidden * size.intermediate
    linear = 2 * tokens * (size.hidden * head * 2 * (size.heads + size.kv_heads) + 3 * down)
    attention = 2 * tokens * size.hidden * size.length
    gram = tokens * (3 * size.hidden**2 + size.intermediate**2) if method != "wanda" else 0
    first = linear - 2 * tokens * down + attention if method != "gptq" else 0  # its inputs are the second pass's
    return (first + gram + linear + attention) / per_second, per_second


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", choices=METHODS, action="append", help="both if left out")
    parser.add_argument("--sparsity", default="0.50")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    for name in ASKED:
        parser.add_argument(f"--{name}", type=int)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    size = LLAMA_3_8B if device.type == "cuda" else SMALL
    size = replace(size, **{name: value for name in ASKED if (value := getattr(options, name)) is not None})
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {options.threads} threads"
    print(f"{name}; {size}")
    print("| method | code | s/layer | ratio | tokens/s | of the floor | peak GiB |")
    print("|---|---|---|---|---|---|---|")
    for method in options.method or METHODS:
        report(method, options.sparsity, size, Machine(device, CLOCKS[options.clock]))


def report(method: str, sparsity: str, size: Size, machine: Machine) -> None:
    """Print a row of the table for each code."""
    device, config = machine.device, size.config
    floor, per_second = floor_seconds(size, method, machine)
    torch.manual_seed(0)
    hidden = torch.randn(size.sequences, size.length, size.hidden, dtype=size.dtype, device=device)
    positions = LlamaRotaryEmbedding(config).to(device)(hidden, torch.arange(size.length, device=device)[None])
    seconds: dict[str, list[float]] = {"reference": [], "engine": []}
    peaks = dict.fromkeys(seconds, 0.0)
    for index in range(size.layers):
        with device:
            layer = LlamaDecoderLayer(config, index).to(size.dtype).eval().requires_grad_(False)
        layers = {"reference": deepcopy(layer), "engine": layer}
        states = {code: hidden.clone() for code in layers}
        runs = {
            "reference": partial(
                reference, layers["reference"], states["reference"], positions, method, float(sparsity)
            ),
            "engine": partial(engine, layers["engine"], states["engine"], positions, method, sparsity),
        }
        for code, run in runs.items():
            machine.forget_peak()
            seconds[code].append(machine.seconds(run))
            peaks[code] = max(peaks[code], machine.peak_mib() / 1024)
        zeros = [
            torch.cat([linear.weight.flatten() == 0 for linear in linears_of(one).values()]) for one in layers.values()
        ]
        print(f"<!-- layer {index}: masks agree to {(zeros[0] == zeros[1]).float().mean().item():.5%} -->")
        hidden = states["engine"]
    best = {code: min(times) for code, times in seconds.items()}
    for code, value in best.items():
        tokens = size.sequences * size.length / value
        print(
            f"| {method} {sparsity} | {code} | {value:.2f} | {best['reference'] / value:.2f} | {tokens:,.0f} "
            f"| {floor / value:.0%} | {peaks[code]:.2f} |"
        )
    print(f"<!-- floor {floor:.2f} s/layer at {per_second / 1e9:,.0f} GFLOP/s -->")
    print(
        f"<!-- {DEPTH} such layers: floor {DEPTH * floor:.0f} s, engine {DEPTH * best['engine']:.0f} s -->", flush=True
    )


if __name__ == "__main__":
    main()
