"""A real pretrained model, from its GGUF file to its exports, against transformers and the harness's own backend.

Needs what `make test-real` makes before it.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from lm_eval.evaluator import evaluate
from tests.helpers.checkout import ROOT
from tests.helpers.harness import language_model, stock_model
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import AutoTokenizer
from transformers.models.auto import AutoModelForCausalLM

from polyprune.artifacts.cells import CellReader
from polyprune.artifacts.tokens import TokenSet, load_tokens
from polyprune.corpora.demo.benchmarks import write_benchmark
from polyprune.evaluation.tasks import CURRENT, Prompting, brisk_harness, build_tasks
from polyprune.grammar.benchmarks import columns

MODEL = ROOT / "results/smollm2-135m"
CELLS = {
    "wanda/0.50": "mask",
    "wanda/2of4": "mask",
    "sparsegpt/0.50": "weights",
    "sparsegpt/2of4": "weights",
    "gptq/w4g64": "weights",
}
"""Cells calibrated in German, and the name of the file that they are."""
LANGUAGES = ("de", "en", "es")
QUESTIONS = 6
OF_A_TOKEN = 6e-5
"""Nats by which losses of a token may differ between two orders of the same float32 arithmetic: twice as much as either
is off float64 (2.8e-5 at most of 254 tokens of German, dense, and 2.3e-5 in a pruned model)."""
PROMPTS = ("The capital of France is", "Die Datei konnte nicht", "Introduzca un nombre")
"""One for each cell in turn."""


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> Any:
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def dense() -> Any:
    return AutoModelForCausalLM.from_pretrained(MODEL / "checkpoint", dtype="auto").eval()


def text(language: str) -> TokenSet:
    return load_tokens(MODEL / f"evaluation_text/jupyterlab/{language}.safetensors")


def dumped(variant: str, language: str, name: str) -> np.ndarray:
    with h5py.File(MODEL / variant / f"hidden_states/jupyterlab/{language}.h5") as file:
        return np.asarray(file[f"sums/{name}"])


@torch.inference_mode()
def losses(model: Any, tokens: Tensor) -> np.ndarray:
    logits = model(tokens).logits[:, :-1].flatten(0, 1)
    return cross_entropy(logits, tokens[:, 1:].flatten(), reduction="none").view(len(tokens), -1).numpy()


@pytest.mark.parametrize("language", LANGUAGES)
def test_dense_losses_are_those_of_transformers(dense: Any, language: str) -> None:
    tokens = torch.from_numpy(text(language).tokens).long()
    np.testing.assert_allclose(dumped("dense", language, "nll_dense"), losses(dense, tokens), rtol=0, atol=OF_A_TOKEN)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_stands_between_documents_is_special_and_no_target(language: str) -> None:
    """SmolLM2 has <|endoftext|> between documents, though its config.json names <|im_start|> and <|im_end|>."""
    tokenizer, found = AutoTokenizer.from_pretrained(MODEL / "checkpoint"), text(language)
    assert set(np.unique(found.tokens[found.special == 1])) == {tokenizer.convert_tokens_to_ids("<|endoftext|>")}
    assert np.array_equal(dumped("dense", language, "target"), found.targets)


@pytest.mark.parametrize("cell", CELLS)
def test_an_export_is_the_cell_on_the_dense_weights(cell: str) -> None:
    """Logits bit by bit, a greedy sentence, and losses as the dump has them."""
    folder = MODEL / cell / "de/seed0"
    exported: Any = AutoModelForCausalLM.from_pretrained(folder / "export", dtype="auto").eval()
    compressed: Any = AutoModelForCausalLM.from_pretrained(MODEL / "checkpoint", dtype="auto").eval()
    reader, changed = CellReader(folder / f"{CELLS[cell]}.safetensors"), 0
    for name, module in compressed.named_modules():
        if (weight := reader.weight(name)) is not None:
            before = module.weight.data
            module.weight.data = weight.dense(before)
            changed += int(not torch.equal(before, module.weight.data))
    assert changed == 7 * 30, "all matrices of all layers"
    tokenizer = AutoTokenizer.from_pretrained(folder / "export")
    tokens = torch.from_numpy(text("de").tokens).long()[:2]
    ids = tokenizer(PROMPTS[list(CELLS).index(cell) % len(PROMPTS)], return_tensors="pt")
    with torch.inference_mode():
        assert torch.equal(exported(tokens).logits, compressed(tokens).logits)
        said = [
            model.generate(**ids, max_new_tokens=8, do_sample=False)[0].tolist() for model in (exported, compressed)
        ]
    assert said[0] == said[1] and len(said[0]) > ids["input_ids"].shape[1]
    found = dumped(f"{cell}/de/seed0", "de", "nll_pruned")[:2]
    np.testing.assert_allclose(found, losses(exported, tokens), rtol=0, atol=OF_A_TOKEN)


@pytest.mark.parametrize(("benchmark", "column"), [("arc", "en-e"), ("arc", "de"), ("belebele", "es")])
def test_answers_are_those_of_the_harnesss_own_backend(
    benchmark: str, column: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_benchmark(benchmark, tmp_path / "data", QUESTIONS)
    chosen = next(each for each in columns(benchmark, "demo") if each.name == column)

    def run(lm: Any) -> Any:
        tasks: Any = build_tasks(
            chosen, tmp_path / "data", tmp_path / "cache", Prompting(CURRENT, "Q: {question}?\nA:", 6)
        )
        with brisk_harness():
            return evaluate(lm, {"tasks": tasks}, bootstrap_iters=1, apply_chat_template=True)

    ours, theirs = run(language_model(MODEL / "checkpoint")), run(stock_model(MODEL / "checkpoint", batch_size=4))
    assert ours["results"] == theirs["results"]
    tokenizer, largest = AutoTokenizer.from_pretrained(MODEL / "checkpoint"), 0.0
    for name, samples in ours["samples"].items():
        assert len(samples) == QUESTIONS
        for mine, other in zip(samples, theirs["samples"][name], strict=True):
            assert mine["arguments"] == other["arguments"]
            asked = [option for _, option in mine["arguments"]]
            for option, (ll, greedy), (stock_ll, stock_greedy) in zip(
                asked, mine["filtered_resps"], other["filtered_resps"], strict=True
            ):
                n_tokens = len(tokenizer(option)["input_ids"])
                assert ll == pytest.approx(stock_ll, rel=0, abs=n_tokens * OF_A_TOKEN) and greedy == stock_greedy
                largest = max(largest, abs(ll - stock_ll))
    with capsys.disabled():
        print(f"\n{benchmark} {column}: log-likelihoods differ by at most {largest:.1e} from the harness's own", end="")
