"""What looking inside models costs: dumps written and read, masks compared, neurons ranked, bookkeeping in passes.

    .venv/bin/python benchmarks/analysis.py [--device cuda] [--hidden 1024] [--layers 4]

Prints one line a figure. Masks and neurons have the sizes of an 8B model's layer and are measured on one thread; the
model that is propagated is random, of the size asked for, in bfloat16 on a GPU and float32 on a CPU.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "workflow_scripts"))

import numpy as np
import torch
from transformers import LlamaConfig
from transformers.models.auto import AutoModelForCausalLM

from polyprune.artifacts.activations import write_activations
from polyprune.artifacts.prompt_states import PromptStates, write_prompt_states
from polyprune.artifacts.prompts import PromptSet
from polyprune.artifacts.tokens import TokenSet
from polyprune.maths.lape import activation_probability, groups_by_rank, lape
from polyprune.model import activations, paired, prompts
from polyprune.model.checkpoint import Checkpoint
from polyprune.model.decoder import Decoder
from polyprune.stages.measure_mask_iou import compare_matrix

MATRICES_8B = ((4096, 4096), (1024, 4096), (1024, 4096), (4096, 4096), (14336, 4096), (14336, 4096), (4096, 14336))
N_LAYERS_8B, N_NEURONS_8B = 32, 14336


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def dumps(folder: Path) -> None:
    """Prompt means of one language of an 8B model, a third of its layers."""
    n_layers, n_prompts, width = 10, 900, 4096
    means = np.random.default_rng(0).standard_normal((n_prompts, width)).astype(np.float32)
    path, items = folder / "prompts.h5", [str(index) for index in range(n_prompts)]

    def write() -> None:
        with write_prompt_states(path, n_layers, width, items, {"n_content": np.ones(n_prompts)}, {}) as writer:
            for row in range(n_layers + 2):
                writer.write_means(row, means)

    def read() -> None:
        with PromptStates(path) as states:
            for row in range(n_layers + 2):
                states.means(row)

    write_s, read_s = seconds(write), seconds(read)
    size = path.stat().st_size / 1e6
    rates = f"written at {size / write_s:.0f} MB/s, read at {size / read_s:.0f} MB/s"
    print(f"prompt dump: {size:.0f} MB, {rates} (page cache)")


def masks() -> None:
    """One layer of an 8B model: three seeds of three languages, as tables 16 and 17."""
    rng = np.random.default_rng(0)
    taken, n_bytes = 0.0, 0
    for d_out, d_in in MATRICES_8B:
        kept = {
            language: [rng.integers(0, 256, (d_out, d_in // 8), dtype=np.uint8) for _ in range(3)]
            for language in ("de", "en", "zh")
        }
        n_bytes += sum(mask.nbytes for of_language in kept.values() for mask in of_language)
        taken += seconds(lambda kept=kept, d_in=d_in: list(compare_matrix(kept, d_in)))
    print(
        f"mask IoU: {n_bytes / taken / 1e9:.2f} GB/s of masks (9 masks: tables 16, 17 and pairs), "
        f"{taken * N_LAYERS_8B:.1f} s for {N_LAYERS_8B} layers of an 8B model"
    )


def neurons() -> None:
    counts = np.random.default_rng(0).integers(0, 1_000_000, (6, N_NEURONS_8B * N_LAYERS_8B))
    tokens = np.full(6, 1_000_000)
    taken = seconds(lambda: groups_by_rank(lape(activation_probability(counts, tokens)), 50))
    print(f"LAPE: {counts.shape[1] / taken / 1e6:.1f} million neurons/s (six languages, ranked into 50 groups)")


class Clock:
    """Time spent inside wrapped functions, outermost calls only."""

    def __init__(self, device: torch.device) -> None:
        self.total, self.device, self._inside = 0.0, device, False

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def wrap(self, function: Callable[..., object]) -> Callable[..., object]:
        def timed(*args: object, **kwargs: object) -> object:
            if self._inside:
                return function(*args, **kwargs)
            self._inside, started = True, self._now()
            try:
                return function(*args, **kwargs)
            finally:
                self._inside = False
                self.total += self._now() - started

        return timed


def bookkeeping(folder: Path, device: torch.device, hidden: int, n_layers: int, n_tokens: int) -> None:
    """Share of each pass that is not embedding, layers, norm, head or predictions."""
    config = LlamaConfig(
        vocab_size=4096,
        hidden_size=hidden,
        intermediate_size=7 * hidden // 2,
        num_hidden_layers=n_layers,
        num_attention_heads=hidden // 64,
        num_key_value_heads=max(1, hidden // 256),
        max_position_embeddings=2048,
    )
    torch.manual_seed(0)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    model.save_pretrained(folder / "model")
    (folder / "model" / "tokenizer.json").write_text("{}")
    length = 512
    ids = torch.randint(0, 4096, (n_tokens // length, length)).numpy().astype(np.int32)
    data = TokenSet(ids, np.ones_like(ids, dtype=np.int16), {})
    decoder = Decoder(Checkpoint(folder / "model"), device)
    start = np.arange(0, ids.size + 1, length)
    asked = PromptSet(ids.reshape(-1), np.ones(ids.size, np.uint8), start, {"items": [str(i) for i in range(len(ids))]})

    def prompt_dump() -> None:
        with write_prompt_states(folder / "p.h5", n_layers, hidden, asked.items, {}, {}) as writer:
            prompts.prompt_pass(decoder, asked, None, 8192, writer)

    def count() -> None:
        with write_activations(folder / "a.h5", n_layers, activations.tokens_of_blocks(data), {}) as writer:
            activations.activation_pass(decoder, data, None, 16, writer)

    passes: dict[str, tuple[Callable[[], object], tuple[tuple[object, str], ...]]] = {
        "sums and sample (text)": (
            lambda: paired.paired_pass(decoder, data, None, 16, 256),
            ((paired._Recorder, "record"),),
        ),
        "means and sums (prompts)": (prompt_dump, ((prompts, "_record"),)),
        "activation counts": (
            count,
            ((activations._Counter, "_add"), (activations._Counter, "_add_output"), (activations._Counter, "result")),
        ),
    }
    for name, (work, parts) in passes.items():
        work()
        clock = Clock(device)
        patches = [mock.patch.object(owner, part, clock.wrap(getattr(owner, part))) for owner, part in parts]
        for patch in patches:
            patch.start()
        total = seconds(work)
        for patch in patches:
            patch.stop()
        rate = ids.size / total
        print(f"{name}: bookkeeping {100 * clock.total / total:.1f} % of {total:.2f} s, {rate:,.0f} tokens/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--hidden", type=int, default=512, help="model width, a multiple of 256")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=8192)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        dumps(Path(folder))
        masks()
        neurons()
        bookkeeping(Path(folder), torch.device(options.device), options.hidden, options.layers, options.tokens)


if __name__ == "__main__":
    main()
