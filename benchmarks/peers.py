"""The compression engine against the public code itself, which is cloned beside the project, in one process.

    git clone https://github.com/locuslab/wanda && git clone https://github.com/IST-DASLab/sparsegpt
    pip install --no-deps --target llm-compressor llmcompressor compressed-tensors loguru accelerate
    PYTHONPATH=workflow_scripts python -m benchmarks.peers --wanda wanda --sparsegpt sparsegpt \\
        --llm-compressor llm-compressor

All compress the same layers of a Llama with random weights from the same hidden states, in turn; processor time on one
thread, the first layer apart, as it warms up. The public code runs as it is; around it stands what it expects of the
transformers of its day: layers that take positions and return tuples, and a loader of calibration text. llm-compressor
has a whole model, whose embeddings are these hidden states, and its own pipeline, a layer at a time.

Whose masks are right where they differ is asked of the same loop in float64 (`benchmarks/engine.py`).
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from copy import deepcopy
from itertools import pairwise, product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import tokenizers
import torch
from benchmarks.engine import CLOCKS, Machine, Size, engine, floor_seconds, linears_of, reference
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerFast
from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaForCausalLM, LlamaRotaryEmbedding

SPARSITY = "0.50"
Layers = list[nn.Module]
Run = Callable[[Layers, Tensor, tuple[Tensor, Tensor]], list[float]]
"""Compresses layers in place; processor time at the beginning of each, and at the end."""


class OfItsDay(nn.Module):
    """A layer of today's transformers with the call of those that the public code was written for."""

    def __init__(self, layer: nn.Module, positions: tuple[Tensor, Tensor]) -> None:
        super().__init__()
        self.layer, self.positions, self.began = layer, positions, 0.0

    def forward(self, hidden: Tensor, **_: Any) -> tuple[Tensor]:
        self.began = self.began or time.process_time()
        return (self.layer(hidden, position_embeddings=self.positions),)


class Model(nn.Module):
    """What the public loops ask of a model; a "token" is the number of a sequence and stands for its hidden states."""

    def __init__(self, layers: Layers, hidden: Tensor) -> None:
        super().__init__()
        self.model, self.hidden = nn.Module(), hidden
        self.model.layers = nn.ModuleList(layers)
        self.model.embed_tokens, self.model.norm = nn.Identity(), nn.Identity()
        self.config = SimpleNamespace(use_cache=False, hidden_size=hidden.shape[-1])
        self.hf_device_map: dict[str, Any] = {}
        self.seqlen = hidden.shape[1]

    def forward(self, row: Tensor) -> None:
        layers: Any = self.model.layers
        layers[0](self.hidden[row], attention_mask=None, position_ids=None)


def peer(compress: Callable[[Model, list[tuple[Tensor]]], object]) -> Run:
    """A public loop, given a model and a loader of calibration text."""

    def run(layers: Layers, hidden: Tensor, positions: tuple[Tensor, Tensor]) -> list[float]:
        wrapped = [OfItsDay(layer, positions) for layer in layers]
        loader = [(torch.tensor([row]),) for row in range(len(hidden))]
        with contextlib.redirect_stdout(io.StringIO()):
            compress(Model(list(wrapped), hidden), loader)
        return [*(layer.began for layer in wrapped), time.process_time()]

    return run


def public_wanda(folder: Path) -> Run:
    sys.path.insert(0, str(folder))
    loop: Any = importlib.import_module("lib.prune")

    def compress(model: Model, loader: list[tuple[Tensor]]) -> None:
        loop.get_loaders = lambda *_, **__: (loader, None)
        asked = argparse.Namespace(nsamples=len(loader), seed=0, sparsity_ratio=float(SPARSITY), use_variant=False)
        loop.prune_wanda(asked, model, None, torch.device("cpu"))

    return peer(compress)


def public_sparsegpt(folder: Path) -> Run:
    sys.path.insert(0, str(folder))
    loop: Any = importlib.import_module("llama")
    torch.cuda.synchronize = lambda *_: None  # which it calls without asking for a GPU

    def compress(model: Model, loader: list[tuple[Tensor]]) -> None:
        asked = {"nsamples": len(loader), "sparsity": float(SPARSITY), "prunen": 0, "prunem": 0, "wbits": 16}
        rest = {"percdamp": 0.01, "blocksize": 128, "minlayer": -1, "maxlayer": 1000, "prune_only": "", "invert": False}
        loop.args = argparse.Namespace(**asked, **rest, true_sequential=False)
        loop.llama_sequential(model, loader, torch.device("cpu"))

    return peer(compress)


def llm_compressor(folder: Path, method: str) -> Run:
    sys.path.append(str(folder))
    theirs: Any = importlib.import_module("llmcompressor")
    pruning: Any = importlib.import_module("llmcompressor.modifiers.pruning")
    importlib.import_module("loguru").logger.remove()
    modifier = {"wanda": pruning.WandaPruningModifier, "sparsegpt": pruning.SparseGPTModifier}[method]

    def run(layers: Layers, hidden: Tensor, _: tuple[Tensor, Tensor]) -> list[float]:
        n_tokens = hidden.shape[0] * hidden.shape[1]
        first: Any = layers[0]
        config = deepcopy(first.self_attn.config)
        config.update({"vocab_size": n_tokens, "num_hidden_layers": len(layers), "use_cache": False})
        model = LlamaForCausalLM(config).eval().requires_grad_(False)
        model.model.layers = nn.ModuleList(layers)
        model.model.embed_tokens.weight.copy_(hidden.flatten(0, 1))
        began: dict[nn.Module, float] = {}

        def note(layer: nn.Module, _: Any) -> None:
            began.setdefault(layer, time.process_time())

        for layer in layers:
            layer.register_forward_pre_hook(note)
        ids = torch.arange(n_tokens).view(len(hidden), -1)
        rows: Any = [{"input_ids": row, "attention_mask": torch.ones_like(row)} for row in ids]
        recipe = modifier(sparsity=float(SPARSITY), targets=["Linear"], ignore=["lm_head"])
        unread = PreTrainedTokenizerFast(tokenizer_object=tokenizers.Tokenizer(tokenizers.models.WordLevel({"": 0})))
        with contextlib.redirect_stderr(io.StringIO()), tempfile.TemporaryDirectory() as saved:
            config.save_pretrained(saved)
            model.config.name_or_path = saved  # where it reads the configuration again
            theirs.oneshot(
                model=model, processor=unread, dataset=DataLoader(rows), recipe=recipe, num_calibration_samples=len(ids)
            )
        return [*began.values(), time.process_time()]

    return run


def in_turn(compress: Callable[..., None], method: str, sparsity: Any) -> Run:
    """Our engine, or the plain loop, layer by layer."""

    def run(layers: Layers, hidden: Tensor, positions: tuple[Tensor, Tensor]) -> list[float]:
        states, marks = hidden.clone(), [time.process_time()]
        for layer in layers:
            compress(layer, states, positions, method, sparsity)
            marks.append(time.process_time())
        return marks

    return run


def workload(size: Size) -> tuple[Layers, Tensor, tuple[Tensor, Tensor]]:
    """Layers, hidden states and positions, the same each time."""
    config = size.config
    torch.manual_seed(0)
    hidden = torch.randn(size.sequences, size.length, size.hidden)
    positions = LlamaRotaryEmbedding(config)(hidden, torch.arange(size.length)[None])
    layers = [LlamaDecoderLayer(config, i).eval().requires_grad_(False) for i in range(size.layers)]
    return list(layers), hidden, positions


def masks(layers: Layers) -> list[Tensor]:
    return [torch.cat([linear.weight.flatten() == 0 for linear in linears_of(layer).values()]) for layer in layers]


def agreement(one: list[Tensor], other: list[Tensor]) -> str:
    """Of the masks of each layer, %."""
    return ", ".join(f"{100 * (a == b).double().mean().item():.3f}" for a, b in zip(one, other, strict=True))


def own_peak_mib() -> float:
    """Of this process since it began; `getrusage` has the peak of the process that started it, if that is larger."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def peak_mib(method: str, code: str, size: Size) -> float:
    """Of a process that runs this code alone."""
    width = ["--hidden", str(size.hidden), "--length", str(size.length)]
    command = [sys.executable, "-m", "benchmarks.peers", *sys.argv[1:], *width, "--alone", method, code]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


def compare(method: str, codes: dict[str, Run], size: Size, options: argparse.Namespace) -> None:
    floor, _ = floor_seconds(size, method, Machine(torch.device("cpu"), CLOCKS["cpu"]))
    layers, hidden, positions = workload(size)
    seconds: dict[str, list[list[float]]] = {code: [] for code in codes}
    made: dict[str, list[Tensor]] = {}
    for _ in range(options.repeats):
        for code, run in codes.items():
            mine = deepcopy(layers)
            marks = run(mine, hidden, positions)
            seconds[code].append([after - before for before, after in pairwise(marks)])
            made[code] = masks(mine)
    exact = deepcopy(layers)
    double = (positions[0].double(), positions[1].double())
    in_turn(reference, method, float(SPARSITY))([layer.double() for layer in exact], hidden.double(), double)
    steady = {code: min(min(run[1:]) for run in runs) for code, runs in seconds.items()}
    for code in codes:
        first, peak = seconds[code][0][0], peak_mib(method, code, size)
        print(
            f"| {method} | {size.hidden} x {size.intermediate}, {size.sequences} x {size.length} | {code} "
            f"| {first:.2f} | {steady[code]:.2f} "
            f"| {steady['public'] / steady[code]:.2f} | {floor / steady[code]:.0%} | {peak:.0f} "
            f"| {agreement(made[code], masks(exact))} |",
            flush=True,
        )
    for code in codes:
        if code != "engine":
            print(f"<!-- masks of engine and {code} agree to {agreement(made['engine'], made[code])} % -->", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wanda", type=Path, required=True, help="a clone of locuslab/wanda")
    parser.add_argument("--sparsegpt", type=Path, required=True, help="a clone of IST-DASLab/sparsegpt")
    parser.add_argument("--llm-compressor", type=Path, help="a folder where it is installed")
    parser.add_argument("--method", choices=["wanda", "sparsegpt"], action="append", help="both if left out")
    parser.add_argument("--hidden", type=int, nargs="+", default=[512, 1024])
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--sequences", type=int, default=8)
    parser.add_argument("--length", type=int, nargs="+", default=[256])
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--alone", nargs=2, metavar=("METHOD", "CODE"), help="one code, and this process's peak memory")
    options = parser.parse_args()
    torch.set_num_threads(1)
    public = {"wanda": public_wanda, "sparsegpt": public_sparsegpt}
    folders = {"wanda": options.wanda.resolve(), "sparsegpt": options.sparsegpt.resolve()}

    def size(hidden: int, length: int) -> Size:
        heads, shape = hidden // 64, (options.sequences, length, options.layers)
        return Size(hidden, hidden * 7 // 2, heads, heads // 2, *shape, torch.float32)

    def codes(method: str) -> dict[str, Run]:
        others = {"llm-compressor": options.llm_compressor} if options.llm_compressor else {}
        return {
            "public": public[method](folders[method]),
            **{code: llm_compressor(folder.resolve(), method) for code, folder in others.items()},
            "engine": in_turn(engine, method, SPARSITY),
        }

    if options.alone:
        method, code = options.alone
        codes(method)[code](*workload(size(options.hidden[0], options.length[0])))
        print(own_peak_mib())
        return
    print("| method | layer, tokens | code | first, CPU-s | steady | ratio | of the floor | MiB | masks as float64's |")
    print("|---|---|---|---|---|---|---|---|---|")
    for method in options.method or public:
        for hidden, length in product(options.hidden, options.length):
            compare(method, codes(method), size(hidden, length), options)


if __name__ == "__main__":
    main()
