"""Prompts pushed through the dense model and cells: means and differences over the user's content tokens.

Prompts have different lengths. They are sorted by length and padded on the right within a batch: attention is causal,
so no token sees the padding behind it and positions count from the first token, which makes every content token's state
the same as without padding. So no attention mask is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import partial

import numpy as np
import torch

from polyprune.artifacts.cells import CellReader
from polyprune.artifacts.layer_rows import RowWriter
from polyprune.artifacts.prompts import PromptSet
from polyprune.model.decoder import Decoder
from polyprune.model.rope import kind_of
from polyprune.model.streams import Batch, Recorder, push, streams_from


def length_batches(
    lengths: np.ndarray, tokens_per_batch: int, kind_of: Callable[[int], Hashable]
) -> Iterator[np.ndarray]:
    """Indices of prompts, shortest first, so that a batch padded to its longest prompt stays within the budget.

    Only prompts whose lengths are of one kind share a batch (see `rope.py`).
    """
    kinds = [kind_of(int(length)) for length in lengths]
    order = np.argsort(lengths, kind="stable")
    first = 0
    while first < len(order):
        last = first + 1
        while (
            last < len(order)
            and (last + 1 - first) * lengths[order[last]] <= tokens_per_batch
            and kinds[order[last]] == kinds[order[first]]
        ):
            last += 1
        yield order[first:last]
        first = last


@torch.inference_mode()
def prompt_pass(
    decoder: Decoder,
    data: PromptSet,
    cells: Sequence[CellReader],
    tokens_per_batch: int,
    writers: Sequence[RowWriter],
    offload: bool = False,
) -> None:
    """Write the dumps of the cells beside the dense model or, without cells, of the dense model alone.

    With `offload` hidden states wait in host memory.
    """
    batches = [
        _start(decoder, data, members, len(cells), offload)
        for members in length_batches(data.lengths, tokens_per_batch, partial(kind_of, decoder.config))
    ]
    recorder = Recorder(decoder, batches, writers)
    push(decoder, batches, cells, recorder.record)
    for writer, sums in zip(writers, recorder.sums, strict=True):
        writer.write_sums(sums)


def _start(decoder: Decoder, data: PromptSet, members: np.ndarray, n_cells: int, offload: bool) -> Batch:
    longest = int(data.lengths[members].max())
    tokens = torch.zeros(len(members), longest, dtype=torch.long)
    content = torch.zeros(len(members), longest, dtype=torch.bool)
    for row, prompt in enumerate(members):
        part = slice(data.start[prompt], data.start[prompt + 1])
        n = part.stop - part.start
        tokens[row, :n] = torch.from_numpy(data.tokens[part].astype(np.int64))
        content[row, :n] = torch.from_numpy(data.content[part].astype(bool))
    dense, calls = decoder.embed(tokens, len(members), offload)
    return Batch(members, content.to(decoder.device), calls, streams_from(dense, n_cells))
