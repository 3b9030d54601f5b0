"""A text pushed through the dense model and cells: how states and predictions differ, and a few tokens' states."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from polyprune.artifacts.cells import CellReader
from polyprune.artifacts.hidden_states import SAMPLE
from polyprune.artifacts.layer_rows import RowWriter
from polyprune.artifacts.tokens import TokenSet
from polyprune.errors import UserError
from polyprune.maths.likeliest import likeliest
from polyprune.model.decoder import Decoder
from polyprune.model.staging import ahead
from polyprune.model.streams import Batch, Recorder, push, streams_from

_LOGITS_AT_ONCE = {"cpu": 1 << 19, "cuda": 1 << 27}
"""Logits that become probabilities at a time, a stream: what fits a CPU's cache; half a GiB on a GPU."""
_ENOUGH_TOKENS, _MOST_LOGITS = 256, 1 << 25
"""On a CPU with a large vocabulary: so many tokens take the head at the price of multiplying by it, where a few pay for
reading it; if that is no more than 128 MiB."""


def sample_of(data: TokenSet, n_sampled: int) -> dict[str, np.ndarray]:
    """Which tokens' states are kept: drawn from the data's digest, in order; all tokens if there are fewer."""
    places = sampled_tokens(data.digest, data.tokens.size, n_sampled)
    return {
        "sequence": (places // data.tokens.shape[1]).astype(np.int32),
        "position": (places % data.tokens.shape[1]).astype(np.int32),
        "token_id": data.tokens.reshape(-1)[places].astype(np.int32),
    }


def sampled_tokens(data_digest: str, n_tokens: int, n_sampled: int) -> np.ndarray:
    """Flat positions of the token sample."""
    if n_sampled >= n_tokens:
        return np.arange(n_tokens)
    key = int.from_bytes(hashlib.sha256(data_digest.encode()).digest()[:8], "little")
    raw = np.random.PCG64(key).random_raw(n_tokens)
    return np.sort(np.argsort(raw, kind="stable")[:n_sampled])


@torch.inference_mode()
def paired_pass(
    decoder: Decoder,
    data: TokenSet,
    cells: Sequence[CellReader],
    batch: int,
    sample: dict[str, np.ndarray],
    writers: Sequence[RowWriter],
    offload: bool = False,
) -> None:
    """Write the dumps of the cells beside the dense model or, without cells, of the dense model alone.

    `batch` is in sequences, `sample` from `sample_of`; with `offload` hidden states wait in host memory.
    """
    tokens = torch.from_numpy(data.tokens)
    dense, calls = decoder.embed(tokens, batch, offload)
    streams = streams_from(dense, len(cells))
    everything = torch.ones(tokens.shape, dtype=torch.bool, device=decoder.device)
    batches = [
        Batch(np.arange(len(tokens))[part], everything[part], calls, [stream[part] for stream in streams])
        for part in (slice(start, start + batch) for start in range(0, len(tokens), batch))
    ]
    recorder = Recorder(decoder, batches, writers)
    sequence, position = (torch.from_numpy(sample[name]).to(dense.device) for name in ("sequence", "position"))

    def record(row: int) -> None:
        recorder.record(row)
        for writer, stream in zip(writers, streams[1:] or streams, strict=True):
            writer.write_row(SAMPLE, row, _as_array(stream[sequence, position].cpu()))

    push(decoder, batches, cells, record)
    counts = {
        "n": np.full(len(tokens), tokens.shape[1], np.int64),
        "bytes": np.where(data.targets, data.n_bytes[:, 1:], 0).sum(axis=1, dtype=np.int64),
        "target": data.targets.astype(np.uint8),
    }
    predictions = _predictions(decoder, batches, tokens, data.targets)
    for writer, sums, of_variant in zip(writers, recorder.sums, predictions, strict=True):
        writer.write_sums({**sums, **of_variant, **counts})


def _as_array(states: Tensor) -> np.ndarray:
    """bfloat16 as its bits in uint16, which NumPy and HDF5 can hold; other types as they are."""
    return (states.view(torch.uint16) if states.dtype == torch.bfloat16 else states).numpy()


def tokens_at_once(device: str, vocabulary: int) -> int:
    """How many tokens' logits are held at a time, at least one."""
    fitting = _LOGITS_AT_ONCE[device] // vocabulary
    return max(1, fitting, min(_ENOUGH_TOKENS, _MOST_LOGITS // vocabulary) if device == "cpu" else 1)


def _predictions(
    decoder: Decoder, batches: Sequence[Batch], tokens: Tensor, targets: np.ndarray
) -> list[dict[str, np.ndarray]]:
    """Of each variant, per predicted token, losses and divergence, and agreement per sequence, over its `targets`.

    All from normed states. Raises `UserError` if losses are not finite.
    """
    at_once = tokens_at_once(decoder.device.type, decoder.config.vocab_size)
    kept: list[dict[str, list[Tensor]]] = [{} for _ in batches[0].streams[1:] or batches[0].streams]
    for batch in batches:
        following = tokens[batch.members, 1:].long().flatten().to(decoder.device).split(at_once)
        streams = [stream[:, :-1].flatten(0, 1).split(at_once) for stream in batch.streams]
        arriving = ahead([part for parts in zip(*streams, strict=True) for part in parts], decoder.device)
        for targeted in following:
            states = [next(arriving) for _ in streams]
            for variant, scores in enumerate(scores_of(decoder, states, targeted[:, None])):
                for name, values in scores.items():
                    kept[variant].setdefault(name, []).append(values)
    arrays = [
        {name: torch.cat(parts).view(len(tokens), -1).cpu().numpy() for name, parts in of_variant.items()}
        for of_variant in kept
    ]
    for of_variant in arrays:
        if not all(np.isfinite(values).all() for values in of_variant.values()):
            raise UserError("losses are not finite: the model's head overflows; load it in bfloat16 or float32")
        if "agree" in of_variant:
            of_variant["agree"] = (of_variant["agree"] & targets).sum(axis=1, dtype=np.int64)
    return arrays


def scores_of(decoder: Decoder, states: Sequence[Tensor], targets: Tensor) -> Iterator[dict[str, Tensor]]:
    """Of each variant, (n,) per token: the dense model's loss and, of a cell, its own, divergence and agreement.

    `states` are normed, (n, d_model), of each stream; `targets` (n, 1) are the tokens that follow. The head takes all
    tokens at once, what follows a few: so it stays in a CPU's cache, and memory holds no float32 copy of the logits.
    """
    dense = decoder.logits(states[0][None])[0]
    rows = max(1, _LOGITS_AT_ONCE[dense.device.type] // dense.shape[1])
    in_float32 = torch.empty((rows, dense.shape[1]) if dense.dtype != torch.float32 else 0, device=dense.device)

    def log_probabilities(logits: Tensor) -> Tensor:
        return (in_float32[: len(logits)].copy_(logits) if in_float32.numel() else logits).log_softmax(-1)

    def of_dense(logits: Tensor, following: Tensor) -> dict[str, Tensor]:
        return {"nll_dense": -log_probabilities(logits).gather(1, following)[:, 0]}

    def of_cell(logits: Tensor, pruned: Tensor, following: Tensor) -> dict[str, Tensor]:
        log_p, log_q = log_probabilities(logits), log_probabilities(pruned)
        return {
            "nll_dense": -log_p.gather(1, following)[:, 0],
            "nll_pruned": -log_q.gather(1, following)[:, 0],
            "agree": likeliest(log_q) == likeliest(log_p),
            "kl": log_q.sub_(log_p).neg_().mul_(log_p.exp_()).sum(-1),
        }

    if len(states) == 1:
        yield _joined(map(of_dense, dense.split(rows), targets.split(rows)))
    for of_stream in states[1:]:
        pruned = decoder.logits(of_stream[None])[0]
        yield _joined(map(of_cell, dense.split(rows), pruned.split(rows), targets.split(rows)))


def _joined(pieces: Iterator[dict[str, Tensor]]) -> dict[str, Tensor]:
    found = list(pieces)
    return {name: torch.cat([piece[name] for piece in found]) for name in found[0]}
