"""Where positions are encoded by the length of a sequence, answers are those of a batch of one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.helpers.harness import language_model, model_folder, stock_model

from polyprune.evaluation.generation import Limits
from polyprune.evaluation.packing import pack
from polyprune.evaluation.scoring import score_rows

LONGROPE = {"rope_type": "longrope", "rope_theta": 1e4, "original_max_position_embeddings": 12} | {
    "short_factor": [1.0] * 4, "long_factor": [1.0, 2.0, 4.0, 8.0], "factor": 2.0,
}  # fmt: skip
QUESTIONS = [("w " * n + "what?", option) for n in (1, 2, 3, 5, 8, 13) for option in (" yes", " no, not at all")]


def rope_by_length(folder: Path, rope: dict[str, Any]) -> Path:
    """A model that was made for 12 positions, and takes more by other frequencies."""
    found = model_folder(folder, "llama", max_length=40)
    config = json.loads((found / "config.json").read_text(encoding="utf-8"))
    (found / "config.json").write_text(json.dumps(config | {"rope_parameters": rope}), encoding="utf-8")
    return found


@pytest.mark.parametrize("whole", [True, False])
def test_where_positions_depend_on_the_length_answers_are_those_of_a_batch_of_one(tmp_path: Path, whole: bool) -> None:
    folder = rope_by_length(tmp_path, LONGROPE)
    lm = language_model(folder, tokens_per_batch=4000, whole=whole)
    pairs = lm.encode_pairs(QUESTIONS)
    lengths = [len(context) + len(option) - 1 for context, option in pairs]
    assert min(lengths) < 12 < max(lengths)
    found = score_rows(lm.weights, pack(pairs, lm.max_length, lm.weights.shares), len(pairs), 4000)
    stock = stock_model(folder, batch_size=1)
    expected = stock._loglikelihood_tokens([(("", ""), *pair) for pair in pairs], disable_tqdm=True)
    for score, (log_likelihood, greedy) in zip(found, expected, strict=True):
        assert score.log_likelihood == pytest.approx(log_likelihood, abs=1e-4)
        assert score.greedy == greedy


def test_where_positions_depend_on_the_length_generation_is_that_of_a_batch_of_one(tmp_path: Path) -> None:
    """Also where an answer grows over the border: then all that was read is encoded anew, as transformers does."""
    lm = language_model(rope_by_length(tmp_path, LONGROPE), tokens_per_batch=4000)
    prompts = [list(range(5, 5 + n)) for n in (3, 5, 9, 11, 12, 20)]
    limits = Limits((), 6, frozenset())
    together = lm._generate([], prompts, limits)
    for prompt, text in zip(prompts, together, strict=True):
        assert lm._generate([], [prompt], limits) == [text]
        tokens = list(prompt)
        with torch.inference_mode():
            for _ in range(6):
                logits = lm.weights.decoder.model(input_ids=torch.tensor([tokens]), use_cache=False).logits
                tokens.append(int(logits[0, -1].argmax()))
        assert text == lm.tokenizer.decode(tokens[len(prompt) :], skip_special_tokens=True)
