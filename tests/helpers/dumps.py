"""Dumps of hidden states of tiny models, and the same states by transformers' own forward."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import cast

import h5py
import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from polyprune.artifacts.cells import CellReader
from polyprune.artifacts.hidden_states import write_hidden_states
from polyprune.artifacts.prompt_states import write_prompt_states
from polyprune.artifacts.prompts import PromptSet
from polyprune.artifacts.tokens import TokenSet
from polyprune.model.checkpoint import Checkpoint
from polyprune.model.decoder import Decoder
from polyprune.model.paired import paired_pass, sample_of
from polyprune.model.prompts import prompt_pass

CPU = torch.device("cpu")
LENGTHS = (9, 23, 5, 23, 14, 6)
Arrays = dict[str, np.ndarray]


def token_set(tokens: Tensor) -> TokenSet:
    array = tokens.numpy().astype(np.int32)
    return TokenSet(array, np.arange(array.size).reshape(array.shape).astype(np.int32) % 5, {})


def dump_text(
    folder: Path, tokens: Tensor, cells: Sequence[CellReader], paths: Sequence[Path], batch: int = 2, n_sampled: int = 7
) -> None:
    """Write the dumps of all cells, or of the dense model."""
    decoder, data = Decoder(Checkpoint(folder), CPU), token_set(tokens)
    sample, n_content = sample_of(data, n_sampled), np.full(len(tokens), tokens.shape[1])
    sizes = (decoder.n_layers, decoder.d_model, n_content, sample, decoder.dtype_name)
    with ExitStack() as files:
        writers = [files.enter_context(write_hidden_states(path, *sizes, {"a": 1})) for path in paths]
        paired_pass(decoder, data, cells, batch, sample, writers)


def arrays_of(path: Path) -> Arrays:
    """All data sets of a dump by their paths, and the encoding of its token sample."""
    found: Arrays = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[...]}) if isinstance(item, h5py.Dataset) else None)
        found["encoding"] = np.array(file["tokens/hidden"].attrs["encoding"])
    return found


def own_states(model: PreTrainedModel, tokens: Tensor) -> tuple[list[Tensor], Tensor]:
    """Rows 0..L raw (the last from a hook, because transformers norms it) and L_normed; and the logits."""
    raw: list[Tensor] = []
    last = cast(torch.nn.ModuleList, model.base_model.layers)[-1]
    hook = last.register_forward_hook(lambda _, __, output: raw.append(cast(Tensor, output)))
    with torch.inference_mode():
        output = model(tokens, output_hidden_states=True, use_cache=False)
    hook.remove()
    states = list(output.hidden_states)
    return [*states[:-1], raw[0], states[-1]], output.logits


def prompt_set(seed: int = 3) -> PromptSet:
    """Prompts of `LENGTHS`; the first two tokens and the last are the template's."""
    rng = np.random.default_rng(seed)
    content = [np.array([0, 0, *[1] * (length - 3), 0], np.uint8) for length in LENGTHS]
    start = np.concatenate([[0], np.cumsum(LENGTHS)]).astype(np.int64)
    tokens = rng.integers(2, 97, sum(LENGTHS)).astype(np.int32)
    return PromptSet(tokens, np.concatenate(content), start, {"items": [f"item {n}" for n in range(len(LENGTHS))]})


def dump_prompts(folder: Path, cells: Sequence[CellReader], paths: Sequence[Path], budget: int = 40) -> None:
    """Write the dumps of all cells, or of the dense model."""
    data, decoder = prompt_set(), Decoder(Checkpoint(folder), CPU)
    sizes = (decoder.n_layers, decoder.d_model, data.items, np.array(LENGTHS) - 3, data.lengths)
    with ExitStack() as files:
        writers = [files.enter_context(write_prompt_states(path, *sizes, {"a": 1})) for path in paths]
        prompt_pass(decoder, data, cells, budget, writers)
