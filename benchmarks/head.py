"""States through the head of a large vocabulary, beside the bare product of head and states.

    python benchmarks/head.py

Prints, for each vocabulary and dtype, CPU milliseconds a token of the product, and how many times it the scores of a
dense model and of a cell beside it take (losses, divergence, agreement).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow_scripts"))

from polyprune.model.paired import scores_of, tokens_at_once

VOCABULARIES = (32_000, 128_256, 262_144)
WIDTH, TOKENS = 640, 512


def cpu_seconds(run: Callable[[], Any]) -> float:
    """The faster of two runs."""
    found = []
    for _ in range(2):
        started = time.process_time()
        run()
        found.append(time.process_time() - started)
    return min(found)


@torch.inference_mode()
def main() -> None:
    torch.set_num_threads(1)
    draw = torch.Generator().manual_seed(0)
    print("vocabulary  dtype     product [ms/token]  dense  beside a cell")
    for vocabulary in VOCABULARIES:
        for dtype in (torch.float32, torch.bfloat16):
            head = (0.02 * torch.randn(vocabulary, WIDTH, generator=draw)).to(dtype)
            states = [torch.randn(TOKENS, WIDTH, generator=draw).to(dtype) for _ in range(2)]
            targets = torch.randint(vocabulary, (TOKENS, 1), generator=draw)
            decoder: Any = SimpleNamespace(logits=lambda normed, head=head: linear(normed, head))
            at_once = tokens_at_once("cpu", vocabulary)

            def scores(
                streams: list[Tensor], decoder: Any = decoder, targets: Tensor = targets, n: int = at_once
            ) -> None:
                for start in range(0, TOKENS, n):
                    part = slice(start, start + n)
                    list(scores_of(decoder, [stream[part] for stream in streams], targets[part]))

            product = cpu_seconds(lambda head=head, states=states: linear(states[0], head))
            dense = cpu_seconds(lambda states=states: scores(states[:1])) / product
            paired = cpu_seconds(lambda states=states: scores(states)) / product / 2
            name = str(dtype).removeprefix("torch.")
            print(
                f"{vocabulary:>10}  {name:<8}  {1000 * product / TOKENS:>18.2f}  {dense:>5.2f}  {paired:>13.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
