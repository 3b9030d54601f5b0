"""Our language model against the harness's stock backend, side by side in one process: time and agreement.

    python -m benchmarks.evaluation [--device cuda] [--layers 4 --hidden 192 …]

Requests are random tokens with the lengths of the real benchmarks in Llama-3's tokens (mean of prompts, of options, and
options a question); both sides get the same, already tokenised. The stock backend has its best of three batch sizes.
On a CPU, time is the process's CPU time on one thread, which other processes disturb least.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "workflow_scripts")]

import torch  # noqa: E402
from tests.helpers.harness import stock_model  # noqa: E402
from transformers import CohereConfig, LlamaConfig  # noqa: E402
from transformers.models.auto import AutoModelForCausalLM  # noqa: E402

from polyprune.corpora.demo import demo_documents  # noqa: E402
from polyprune.evaluation.packing import pack  # noqa: E402
from polyprune.evaluation.scoring import Weights, score_rows  # noqa: E402
from polyprune.model.checkpoint import Checkpoint  # noqa: E402
from polyprune.model.decoder import Decoder  # noqa: E402
from polyprune.model.training import train_tokenizer  # noqa: E402

KINDS = {"arc": (91, 16, 4), "hellaswag": (114, 46, 4), "mmlu": (221, 1, 4), "belebele": (299, 1, 4)}
TARGETS = {"arc": 0.5, "hellaswag": 0.6, "mmlu": 1.0, "belebele": 1.0}
STOCK_BATCHES = (4, 8, 32)
Pair = tuple[list[int], list[int]]


def questions(kind: str, n: int, vocabulary: int) -> list[Pair]:
    """Requests of `n` questions; lengths vary by a third, all options of a question are different."""
    generator = torch.Generator().manual_seed(0)
    mean_prompt, mean_option, n_options = KINDS[kind]

    def length(mean: int) -> int:
        return max(1, round(mean * float(torch.empty(1).normal_(1.0, 0.33, generator=generator).clamp(0.3, 2.0))))

    def tokens(count: int) -> list[int]:
        return torch.randint(2, vocabulary, (count,), generator=generator).tolist()

    pairs = []
    for _ in range(n):
        prompt = tokens(length(mean_prompt))
        options = [tokens(length(mean_option)) if mean_option > 1 else [2 + i] for i in range(n_options)]
        pairs += [(prompt, option) for option in options]
    return pairs


def write_model(folder: Path, architecture: str, sizes: argparse.Namespace, dtype: torch.dtype) -> None:
    kind = {"llama": LlamaConfig, "cohere": CohereConfig}[architecture]
    config = kind(
        hidden_size=sizes.hidden,
        num_hidden_layers=sizes.layers,
        intermediate_size=3 * sizes.hidden,
        num_attention_heads=sizes.hidden // sizes.head,
        num_key_value_heads=max(1, sizes.hidden // sizes.head // 4),
        vocab_size=sizes.vocabulary,
        max_position_embeddings=2048,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    torch.manual_seed(0)
    with torch.device(sizes.device):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    model.save_pretrained(folder)
    train_tokenizer(demo_documents("en", "benchmark", 50), 400).save_pretrained(folder)


def timed(work: Callable[[], Any], device: str) -> tuple[float, Any]:
    clock = time.process_time if device == "cpu" else time.perf_counter
    if device != "cpu":
        torch.cuda.synchronize()
    started = clock()
    result = work()
    if device != "cpu":
        torch.cuda.synchronize()
    return clock() - started, result


def compare(folder: Path, architecture: str, sizes: argparse.Namespace) -> bool:
    """Print a line a kind of task; whether all ratios and differences are within their targets."""
    weights = Weights(Decoder(Checkpoint(folder), torch.device(sizes.device)), None)
    stock = stock_model(folder, 8, device=sizes.device)
    good = True
    for kind in KINDS:
        pairs = questions(kind, sizes.questions, sizes.vocabulary)
        requests = [(("", ""), prompt, option) for prompt, option in pairs]

        def ours(pairs: list[Pair] = pairs) -> Any:
            return score_rows(weights, pack(pairs, 2048), len(pairs), sizes.tokens_per_batch)

        def theirs(batch: int, requests: Any = requests) -> Any:
            stock.batch_size_per_gpu = batch
            return stock._loglikelihood_tokens(requests, disable_tqdm=True)

        found, expected = ours(), theirs(8)
        mine = min(timed(ours, sizes.device)[0] for _ in range(sizes.repeats))
        other, batch = min(
            (timed(lambda batch=batch: theirs(batch), sizes.device)[0], batch)
            for batch in STOCK_BATCHES
            for _ in range(sizes.repeats)
        )
        difference = max(abs(a.log_likelihood - b[0]) for a, b in zip(found, expected, strict=True))
        best = [max(range(4), key=lambda i, at=at: found[at + i].log_likelihood) for at in range(0, len(pairs), 4)]
        other_best = [max(range(4), key=lambda i, at=at: expected[at + i][0]) for at in range(0, len(pairs), 4)]
        same = sum(a == b for a, b in zip(best, other_best, strict=True)) / len(best)
        ratio = mine / other
        good &= ratio <= TARGETS[kind] * sizes.slack and (sizes.dtype != "float32" or difference <= 1e-4)
        print(
            f"{architecture:7} {kind:10} stock {other:7.2f} s (batch {batch:2}), ours {mine:7.2f} s, ratio {ratio:.2f} "
            f"(target {TARGETS[kind]:.1f}), largest difference {difference:.1e}, same choice {100 * same:.1f} %",
            flush=True,
        )
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--architectures", nargs="+", default=["llama", "cohere"])
    parser.add_argument("--slack", type=float, default=1.1, help="noise allowed on the targets")
    for name, value in {
        "layers": 4, "hidden": 192, "head": 48, "vocabulary": 3072, "questions": 24, "repeats": 3,
        "tokens_per_batch": 16384,
    }.items():  # fmt: skip
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value)
    sizes = parser.parse_args()
    torch.set_num_threads(1 if sizes.device == "cpu" else 8)
    os.environ.setdefault("TQDM_DISABLE", "1")
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    good = True
    for architecture in sizes.architectures:
        with tempfile.TemporaryDirectory() as folder:
            write_model(Path(folder), architecture, sizes, getattr(torch, sizes.dtype))
            good &= compare(Path(folder), architecture, sizes)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
