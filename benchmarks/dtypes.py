"""Decoder layers and the scores of a head in 16 bits, beside float32, on this machine's CPU.

    python benchmarks/dtypes.py

Prints, for each dtype, CPU milliseconds a token of a Llama's layers and of the dense model's losses, how many times
float32's speed both are, and the measurement from which a model's dtype is chosen when it is registered.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch.nn.functional import linear
from transformers import LlamaConfig, LlamaModel

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow_scripts"))

from polyprune.model.arithmetic import instructions, product_seconds
from polyprune.model.paired import scores_of

CONFIG: Any = LlamaConfig(
    hidden_size=640, intermediate_size=2048, num_hidden_layers=4, num_attention_heads=10, num_key_value_heads=5,
    vocab_size=128_256,
)  # fmt: skip
SEQUENCES, LENGTH, PREDICTED = 8, 256, 256


def cpu_seconds(run: Callable[[], Any]) -> float:
    """The fastest of three runs."""
    found = []
    for _ in range(3):
        started = time.process_time()
        run()
        found.append(time.process_time() - started)
    return min(found)


@torch.inference_mode()
def seconds_of(dtype: torch.dtype) -> tuple[float, float]:
    """A token's seconds in all layers, and in the head and its losses."""
    torch.manual_seed(0)
    model: Any = LlamaModel(CONFIG).eval()
    model.to(dtype)
    tokens = torch.randint(CONFIG.vocab_size, (SEQUENCES, LENGTH))
    layers = cpu_seconds(lambda: model(tokens, use_cache=False)) / tokens.numel()
    head, states = model.embed_tokens.weight, torch.randn(PREDICTED, CONFIG.hidden_size).to(dtype)
    decoder: Any = SimpleNamespace(logits=lambda normed: linear(normed, head))
    targets = torch.randint(CONFIG.vocab_size, (PREDICTED, 1))
    return layers, cpu_seconds(lambda: list(scores_of(decoder, [states], targets))) / PREDICTED


def main() -> None:
    torch.set_num_threads(1)
    print(f"16-bit instructions: {instructions()}")
    print("dtype     layers [ms/token]  ratio  losses [ms/token]  ratio  products' ratio, which decides")
    wanted = (torch.float32, torch.bfloat16, torch.float16)
    found = {dtype: (*seconds_of(dtype), product_seconds(dtype)) for dtype in wanted}
    for dtype, times in found.items():
        layers, losses, products = (before / now for before, now in zip(found[torch.float32], times, strict=True))
        print(
            f"{str(dtype).removeprefix('torch.'):<8}  {1000 * times[0]:>17.2f}  {layers:>5.2f}  "
            f"{1000 * times[1]:>17.2f}  {losses:>5.2f}  {products:>5.2f}"
        )


if __name__ == "__main__":
    main()
