"""Push the dense and a compressed model through the same text together, and add up how they differ.

Each layer is loaded once; both streams of hidden states stay in memory, nothing else does. All sums are over all
tokens: differences are taken in float32 and added in float64.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor

from polyprune.artifacts.cells import CellReader
from polyprune.artifacts.hidden_states import HiddenStates
from polyprune.artifacts.tokens import TokenSet
from polyprune.errors import UserError
from polyprune.log import Progress
from polyprune.model.compression import apply_cell, propagate
from polyprune.model.decoder import Decoder

_LOGITS_AT_ONCE = {"cpu": 1 << 19, "cuda": 1 << 27}
"""Logits held at a time, a stream: what fits a CPU's cache; half a GiB on a GPU."""


class _Recorder:
    """Fills the arrays of a dump, row by row of the layer axis."""

    def __init__(self, n_rows: int, hidden: Tensor, sample: Tensor, paired: bool) -> None:
        n_sequences, _, width = hidden.shape
        names = ["norm", "sq"] + (["norm_pruned", "sq_pruned", "dot", "diff"] if paired else [])
        self.sums = {name: np.zeros((n_sequences, n_rows)) for name in names}
        self.mean = np.zeros((n_rows, n_sequences, width), np.float32)
        self.tokens = torch.zeros(n_rows, len(sample), width, dtype=hidden.dtype)
        self.sample = sample

    def record(self, row: int, dense: Tensor, pruned: Tensor | None, batch: int) -> None:
        """Add one layer's states, each (n_sequences, sequence_length, d_model)."""
        variant = dense if pruned is None else pruned
        for start in range(0, len(dense), batch):
            part = slice(start, start + batch)
            h = dense[part].float()
            self._add("norm", part, row, h.norm(dim=-1))
            self._add("sq", part, row, h.square().sum(-1))
            if pruned is not None:
                p = pruned[part].float()
                self._add("norm_pruned", part, row, p.norm(dim=-1))
                self._add("sq_pruned", part, row, p.square().sum(-1))
                self._add("dot", part, row, (h * p).sum(-1))
                self._add("diff", part, row, (h - p).square().sum(-1))
            self.mean[row, part] = variant[part].mean(dim=1, dtype=torch.float32).cpu().numpy()
        self.tokens[row] = variant.flatten(0, 1)[self.sample.to(variant.device)].cpu()

    def _add(self, name: str, part: slice, row: int, per_token: Tensor) -> None:
        total = per_token.sum(dim=1, dtype=torch.float64)
        if not torch.isfinite(total).all():
            raise UserError(f"hidden states of layer row {row} overflow {name}: load the model in bfloat16 or float32")
        self.sums[name][part, row] = total.cpu().numpy()


def sampled_tokens(data_digest: str, n_tokens: int, n_sampled: int) -> np.ndarray:
    """Flat positions of the token sample: drawn from the data's digest, sorted; all tokens if there are fewer."""
    if n_sampled >= n_tokens:
        return np.arange(n_tokens)
    key = int.from_bytes(hashlib.sha256(data_digest.encode()).digest()[:8], "little")
    raw = np.random.PCG64(key).random_raw(n_tokens)
    return np.sort(np.argsort(raw, kind="stable")[:n_sampled])


@torch.inference_mode()
def paired_pass(decoder: Decoder, data: TokenSet, cell: CellReader | None, batch: int, n_sampled: int) -> HiddenStates:
    """Dump of the cell beside the dense model, or of the dense model alone."""
    tokens = torch.from_numpy(data.tokens)
    dense, calls = decoder.embed(tokens, batch)
    pruned = dense.clone() if cell else None
    places = sampled_tokens(data.digest, tokens.numel(), n_sampled)
    recorder = _Recorder(decoder.n_layers + 2, dense, torch.from_numpy(places), cell is not None)
    recorder.record(0, dense, pruned, batch)
    progress = Progress(decoder.n_layers, "layer")
    for index, layer in decoder.walk():
        propagate(layer, dense, calls[index], batch)
        if cell is not None and pruned is not None:
            apply_cell(layer, f"{decoder.prefix}.{index}.", cell)
            propagate(layer, pruned, calls[index], batch)
        recorder.record(index + 1, dense, pruned, batch)
        progress.report(index + 1)
    for stream in (dense, pruned):
        if stream is not None:
            for start in range(0, len(stream), batch):
                stream[start : start + batch] = decoder.normalise(stream[start : start + batch])
    recorder.record(decoder.n_layers + 1, dense, pruned, batch)
    predictions = _predictions(decoder, dense, pruned, tokens.to(decoder.device))
    counts = {
        "n": np.full(len(tokens), tokens.shape[1], np.int64),
        "bytes": data.n_bytes[:, 1:].sum(axis=1, dtype=np.int64),
    }
    return HiddenStates(
        sums={**recorder.sums, **predictions, **counts},
        prompt_mean=recorder.mean,
        n_content=np.full(len(tokens), tokens.shape[1], np.int32),
        token_hidden=_as_array(recorder.tokens),
        token_encoding=str(decoder.dtype).removeprefix("torch."),
        token_place={
            "sequence": (places // tokens.shape[1]).astype(np.int32),
            "position": (places % tokens.shape[1]).astype(np.int32),
            "token_id": data.tokens.reshape(-1)[places].astype(np.int32),
        },
    )


def _as_array(states: Tensor) -> np.ndarray:
    """bfloat16 as its bits in uint16, which NumPy and HDF5 can hold; other types as they are."""
    return (states.view(torch.uint16) if states.dtype == torch.bfloat16 else states).numpy()


def _predictions(decoder: Decoder, dense: Tensor, pruned: Tensor | None, tokens: Tensor) -> dict[str, np.ndarray]:
    """Per predicted token the loss of each stream and, of a pair, divergence and agreement, from normed states."""
    n_sequences, length = tokens.shape
    targets = tokens[:, 1:].long().flatten()
    at_once = max(1, _LOGITS_AT_ONCE[tokens.device.type] // decoder.config.vocab_size)
    kept: dict[str, list[Tensor]] = {"nll_dense": []} | (
        {"nll_pruned": [], "kl": [], "agree": []} if pruned is not None else {}
    )
    flat_dense = dense[:, :-1].flatten(0, 1)
    flat_pruned = None if pruned is None else pruned[:, :-1].flatten(0, 1)
    for start in range(0, len(targets), at_once):
        part = slice(start, start + at_once)
        target = targets[part, None]
        log_p = decoder.logits(flat_dense[None, part])[0].float().log_softmax(-1)
        kept["nll_dense"].append(-log_p.gather(1, target)[:, 0])
        if flat_pruned is not None:
            log_q = decoder.logits(flat_pruned[None, part])[0].float().log_softmax(-1)
            kept["nll_pruned"].append(-log_q.gather(1, target)[:, 0])
            kept["agree"].append(log_p.argmax(-1) == log_q.argmax(-1))
            kept["kl"].append(log_q.sub_(log_p).neg_().mul_(log_p.exp_()).sum(-1))
    arrays = {name: torch.cat(values).view(n_sequences, length - 1).cpu().numpy() for name, values in kept.items()}
    if "agree" in arrays:
        arrays["agree"] = arrays["agree"].sum(axis=1, dtype=np.int64)
    return arrays
