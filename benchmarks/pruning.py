"""The public loops of Wanda and SparseGPT, and llm-compressor's, as codes that compress layers.

The public code runs as it is, in full float32: both loops switch TF32 off when they are imported, and the engine
refuses it. Wanda has its layers on the device all the time, SparseGPT moves each to the CPU when it is done, within its
time. Around them stands what they expect of the transformers of their day: layers that take positions and return
tuples, and a loader of calibration text. llm-compressor, on a CPU alone, has a whole model, whose embeddings are the
hidden states, and its own pipeline, a layer at a time.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import sys
import tempfile
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import tokenizers
import torch
from benchmarks.engine import engine, linears_of, reference
from benchmarks.layers import Layers, Made, Match, Positions, Run, Workload, in_turn
from benchmarks.machine import Machine
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerFast
from transformers.models.llama.modeling_llama import LlamaForCausalLM

SPARSITY = "0.50"


def pruning(method: str, public: Path | None, compressor: Path | None, machine: Machine) -> Match:
    """Wanda or SparseGPT by those of the peers that are there, and by the engine."""
    loop = {"wanda": public_wanda, "sparsegpt": public_sparsegpt}[method]
    codes = {"public": partial(loop, public, machine)} if public else {}
    codes |= {"llm-compressor": partial(llm_compressor, compressor, method, machine)} if compressor else {}

    def ours(layer: nn.Module, hidden: Tensor, positions: Positions) -> None:
        engine(layer, hidden, positions, method, SPARSITY)

    def differences(work: Workload, made: Made) -> dict[str, str]:
        """Agreement of masks with those of the plain loop in float64."""

        def plain(layer: nn.Module, hidden: Tensor, positions: Positions) -> None:
            reference(layer, hidden, positions, method, float(SPARSITY))

        cosine, sine = work.positions
        layers = [layer.double() for layer in deepcopy(work.layers)]
        exact, _ = Workload(layers, work.hidden.double(), (cosine.double(), sine.double())).run(in_turn(plain, machine))
        return {code: agreement(layers, exact) for code, layers in made.items()}

    def remarks(made: Made) -> list[str]:
        others = [code for code in made if code != "engine"]
        return [f"masks of engine and {code} agree to {agreement(made['engine'], made[code])} %" for code in others]

    return Match(method, codes | {"engine": partial(in_turn, ours, machine)}, differences, remarks)


def agreement(some: Layers, others: Layers) -> str:
    """Of the masks of each layer, %."""
    return ", ".join(
        f"{100 * (mask(a) == mask(b)).double().mean().item():.3f}" for a, b in zip(some, others, strict=True)
    )


def mask(layer: nn.Module) -> Tensor:
    return torch.cat([linear.weight.flatten() == 0 for linear in linears_of(layer).values()])


class OfItsDay(nn.Module):
    """A layer of today's transformers with the call of those that the public code was written for."""

    def __init__(self, layer: nn.Module, positions: Positions, machine: Machine) -> None:
        super().__init__()
        self.layer, self.positions, self.machine, self.began = layer, positions, machine, 0.0

    def forward(self, hidden: Tensor, **_: Any) -> tuple[Tensor]:
        self.began = self.began or self.machine.now()
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


def peer(compress: Callable[[Model, list[tuple[Tensor]]], object], machine: Machine) -> Run:
    """A public loop, given a model and a loader of calibration text."""

    def run(layers: Layers, hidden: Tensor, positions: Positions) -> list[float]:
        wrapped = [OfItsDay(layer, positions, machine) for layer in layers]
        loader = [(torch.tensor([row]),) for row in range(len(hidden))]
        with contextlib.redirect_stdout(io.StringIO()):
            compress(Model(list(wrapped), hidden), loader)
        return [*(layer.began for layer in wrapped), machine.now()]

    return run


def public_wanda(folder: Path, machine: Machine) -> Run:
    sys.path.insert(0, str(folder))
    loop: Any = importlib.import_module("lib.prune")

    def compress(model: Model, loader: list[tuple[Tensor]]) -> None:
        loop.get_loaders = lambda *_, **__: (loader, None)
        asked = argparse.Namespace(nsamples=len(loader), seed=0, sparsity_ratio=float(SPARSITY), use_variant=False)
        loop.prune_wanda(asked, model, None, machine.device)

    return peer(compress, machine)


def public_sparsegpt(folder: Path, machine: Machine) -> Run:
    sys.path.insert(0, str(folder))
    loop: Any = importlib.import_module("llama")
    if machine.device.type == "cpu":
        torch.cuda.synchronize = lambda *_: None  # which it calls without asking for a GPU

    def compress(model: Model, loader: list[tuple[Tensor]]) -> None:
        asked = {"nsamples": len(loader), "sparsity": float(SPARSITY), "prunen": 0, "prunem": 0, "wbits": 16}
        rest = {"percdamp": 0.01, "blocksize": 128, "minlayer": -1, "maxlayer": 1000, "prune_only": "", "invert": False}
        loop.args = argparse.Namespace(**asked, **rest, true_sequential=False)
        loop.llama_sequential(model, loader, machine.device)

    return peer(compress, machine)


def llm_compressor(folder: Path, method: str, machine: Machine) -> Run:
    sys.path.append(str(folder))
    theirs: Any = importlib.import_module("llmcompressor")
    pruning: Any = importlib.import_module("llmcompressor.modifiers.pruning")
    importlib.import_module("loguru").logger.remove()
    modifier = {"wanda": pruning.WandaPruningModifier, "sparsegpt": pruning.SparseGPTModifier}[method]

    def run(layers: Layers, hidden: Tensor, _: Positions) -> list[float]:
        n_tokens = hidden.shape[0] * hidden.shape[1]
        first: Any = layers[0]
        config = deepcopy(first.self_attn.config)
        config.update({"vocab_size": n_tokens, "num_hidden_layers": len(layers), "use_cache": False})
        model = LlamaForCausalLM(config).eval().requires_grad_(False)
        model.model.layers = nn.ModuleList(layers)
        model.model.embed_tokens.weight.copy_(hidden.flatten(0, 1))
        began: dict[nn.Module, float] = {}

        def note(layer: nn.Module, _: Any) -> None:
            began.setdefault(layer, machine.now())

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
        return [*began.values(), machine.now()]

    return run
