"""Our language model against the harness's stock backend, side by side in one process: time and agreement.

    python -m benchmarks.evaluation [--device cuda] [--layers 4 --hidden 192 …]

Requests are random tokens with the lengths of the real benchmarks in Llama-3's tokens (mean of prompts, of options,
options a question, and how much of a prompt so many questions share: a passage of Belebele has two of them, examples go
before all); both sides get the same, already tokenised. Answers end at one of a few common texts, after 32 tokens at
most. The stock backend has its best of its batch sizes.
On a CPU, time is the process's CPU time on one thread, which other processes disturb least.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "workflow_scripts")]

import torch  # noqa: E402
from benchmarks.machine import Machine  # noqa: E402
from lm_eval.api.instance import Instance  # noqa: E402
from tests.helpers.harness import stock_model  # noqa: E402
from transformers import CohereConfig, LlamaConfig  # noqa: E402
from transformers.models.auto import AutoModelForCausalLM  # noqa: E402

from polyprune.corpora.demo import demo_documents  # noqa: E402
from polyprune.evaluation.language_model import SharedPrefixLM  # noqa: E402
from polyprune.evaluation.packing import pack  # noqa: E402
from polyprune.evaluation.scoring import Weights, score_rows  # noqa: E402
from polyprune.model.checkpoint import Checkpoint  # noqa: E402
from polyprune.model.decoder import Decoder  # noqa: E402
from polyprune.model.training import train_tokenizer  # noqa: E402

KINDS = {
    "arc": (91, 16, 4, 0, 1),
    "hellaswag": (114, 46, 4, 0, 1),
    "mmlu": (221, 1, 4, 0, 1),
    "mmlu-2-shot": (221, 1, 4, 442, 12),
    "belebele": (299, 1, 4, 0, 1),
    "belebele-passages": (99, 1, 4, 200, 2),
}
TARGETS = {
    "arc": 0.5,
    "hellaswag": 0.6,
    "mmlu": 1.0,
    "mmlu-2-shot": 0.6,
    "belebele": 1.0,
    "belebele-passages": 0.75,
    "generation": 0.75,
}
STOCK_BATCHES = {"scoring": (1, 4, 8, 32), "generation": (8, 16, 32, 64)}
Pair = tuple[list[int], list[int]]


def questions(kind: str, n: int, vocabulary: int) -> list[Pair]:
    """Requests of `n` questions; lengths vary by a third, all options of a question are different."""
    generator = torch.Generator().manual_seed(0)
    mean_prompt, mean_option, n_options, n_shared, n_together = KINDS[kind]

    def length(mean: int) -> int:
        return max(1, round(mean * float(torch.empty(1).normal_(1.0, 0.33, generator=generator).clamp(0.3, 2.0))))

    def tokens(count: int) -> list[int]:
        return torch.randint(2, vocabulary, (count,), generator=generator).tolist()

    pairs = []
    shared: list[int] = []
    for question in range(n):
        if n_shared and question % n_together == 0:
            shared = tokens(length(n_shared))
        prompt = shared + tokens(length(mean_prompt))
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


def compare(folder: Path, architecture: str, sizes: argparse.Namespace) -> bool:
    """Print a line a kind of task; whether all ratios and differences are within their targets."""
    weights = Weights(Decoder(Checkpoint(folder), torch.device(sizes.device)), None)
    stock: Any = stock_model(folder, 8, device=sizes.device)
    good, machine = True, Machine.of(sizes.device)
    for kind in sizes.kinds:
        pairs = questions(kind, sizes.questions, sizes.vocabulary)
        requests = [(("", ""), prompt, option) for prompt, option in pairs]

        def ours(pairs: list[Pair] = pairs) -> Any:
            return score_rows(weights, pack(pairs, 2048), len(pairs), sizes.tokens_per_batch)

        def theirs(batch: int, requests: Any = requests) -> Any:
            stock.batch_size_per_gpu = batch
            return stock._loglikelihood_tokens(requests, disable_tqdm=True)

        found, expected = ours(), theirs(8)
        mine = min(machine.seconds(ours) for _ in range(sizes.repeats))
        other, batch = min(
            (machine.seconds(lambda batch=batch: theirs(batch)), batch)
            for batch in STOCK_BATCHES["scoring"]
            for _ in range(sizes.repeats)
        )
        difference = max(abs(a.log_likelihood - b[0]) for a, b in zip(found, expected, strict=True))
        best = [max(range(4), key=lambda i, at=at: found[at + i].log_likelihood) for at in range(0, len(pairs), 4)]
        other_best = [max(range(4), key=lambda i, at=at: expected[at + i][0]) for at in range(0, len(pairs), 4)]
        same = sum(a == b for a, b in zip(best, other_best, strict=True)) / len(best)
        ratio = mine / other
        good &= ratio <= TARGETS[kind] * sizes.slack and (sizes.dtype != "float32" or difference <= 1e-4)
        print(
            f"{architecture:7} {kind:18} {sum(map(len, pack(pairs, 2048))):6} tokens, "
            f"stock {other:7.2f} s (batch {batch:2}), ours {mine:7.2f} s, ratio {ratio:.2f} "
            f"(target {TARGETS[kind]:.2f}), largest difference {difference:.1e}, same choice {100 * same:.1f} %",
            flush=True,
        )
    return good & compare_generation(folder, architecture, sizes, weights, stock)


def compare_generation(
    folder: Path, architecture: str, sizes: argparse.Namespace, weights: Weights, stock: Any
) -> bool:
    """Print a line; whether the ratio is within its target and answers are the same and not all empty.

    They are empty where the model's words are not the tokenizer's: it has 400, as `--vocabulary 400` gives the model.
    """
    lm = SharedPrefixLM(weights, folder, sizes.tokens_per_batch)
    documents = demo_documents("en", "benchmark", 2 * sizes.questions)
    prompts = [f"Q: {text[: 30 + 7 * i % 80]}?\nA:" for i, text in enumerate(documents)]
    options = {"max_gen_toks": 32, "do_sample": False}

    def requests(stops: list[str]) -> list[Instance]:
        return [
            Instance("generate_until", {}, (prompt, {**options, "until": stops}), i) for i, prompt in enumerate(prompts)
        ]

    free = lm.generate_until(requests([]))
    common = [text for text, _ in Counter(character for text in free for character in text[6:]).most_common(3)]
    asked = requests(common)

    def theirs(batch: int) -> Any:
        stock.batch_size_per_gpu = batch
        return stock.generate_until(asked, disable_tqdm=True)

    machine = Machine.of(sizes.device)
    mine, found = min(machine.timed(lambda: lm.generate_until(asked)) for _ in range(sizes.repeats))
    other, batch, expected = min(
        (seconds, batch, texts)
        for batch in STOCK_BATCHES["generation"]
        for seconds, texts in [machine.timed(lambda batch=batch: theirs(batch)) for _ in range(sizes.repeats)]
    )
    same = sum(map(str.__eq__, found, expected)) / len(found)
    print(
        f"{architecture:7} generation: {len(found)} answers of {sum(map(len, found)) / len(found):.0f} characters, "
        f"stock {other:7.2f} s (batch {batch:2}), ours {mine:7.2f} s, ratio {mine / other:.2f} "
        f"(target {TARGETS['generation']:.2f}), same answer {100 * same:.1f} %",
        flush=True,
    )
    return (
        mine / other <= TARGETS["generation"] * sizes.slack and (sizes.dtype != "float32" or same == 1) and any(found)
    )


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--architectures", nargs="+", default=["llama", "cohere"])
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--slack", type=float, default=1.1, help="noise allowed on the targets")
    for name, value in {
        "layers": 4, "hidden": 192, "head": 48, "vocabulary": 3072, "questions": 24, "repeats": 3,
        "tokens_per_batch": 16384,
    }.items():  # fmt: skip
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value)
    sizes = parser.parse_args(words)
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
