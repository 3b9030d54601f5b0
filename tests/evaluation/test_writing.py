"""Sampled text against transformers' own distributions, step by step, and the draw against numbers by hand."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from tests.helpers.tiny import random_model, save_checkpoint

from polyprune.evaluation.scoring import Weights
from polyprune.evaluation.writing import Sampling, draw, write
from polyprune.model.checkpoint import Checkpoint
from polyprune.model.decoder import Decoder

PROMPTS = [[5, 6, 7], [9, 8], [3, 4, 5, 6]]
SEEDS = ["de/0/1", "de/0/2", "de/0/3"]


@pytest.mark.parametrize(
    ("uniform", "temperature", "top_p", "token"),
    [(0.0, 1.0, 1.0, 2), (0.49, 1.0, 1.0, 2), (0.51, 1.0, 1.0, 0), (0.79, 1.0, 1.0, 0), (0.81, 1.0, 1.0, 1),
     (0.99, 1.0, 1.0, 1), (0.99, 1.0, 0.5, 2), (0.62, 1.0, 0.51, 2), (0.63, 1.0, 0.51, 0), (0.99, 1.0, 0.51, 0),
     (0.65, 0.5, 1.0, 2), (0.67, 0.5, 1.0, 0), (0.89, 0.5, 1.0, 0), (0.90, 0.5, 1.0, 1)],
)  # fmt: skip
def test_a_token_is_where_the_number_falls_among_the_likeliest(
    uniform: float, temperature: float, top_p: float, token: int
):
    """WRITE-1. p = 0.3, 0.2, 0.5; of those that make a half only the last, of a bit more the first, too: 5/8 and 3/8;
    at half the temperature squares: 9, 4 and 25 of 38.
    """
    logits = torch.tensor([[0.3, 0.2, 0.5]], dtype=torch.float64).log()
    assert draw(logits, [uniform], temperature, top_p) == [token]


@pytest.mark.parametrize("whole", [True, False])
def test_each_text_is_drawn_from_the_models_own_distribution_with_its_own_numbers(tmp_path: Path, whole: bool):
    model = random_model("llama")
    checkpoint = Checkpoint(save_checkpoint(model, tmp_path))
    weights = Weights(Decoder(checkpoint, torch.device("cpu")), None, whole=whole)
    sampling = Sampling(temperature=0.7, top_p=0.9, max_tokens=12, end_tokens=frozenset({1}))
    found = write(weights, PROMPTS, SEEDS, sampling)
    for prompt, seed, written in zip(PROMPTS, SEEDS, found, strict=True):
        random, tokens, losses = Random(seed), list(prompt), []
        while len(losses) < 12:
            with torch.inference_mode():
                logits = model(torch.tensor([tokens])).logits[0, -1].double()
            p = (logits / 0.7).softmax(0).numpy()
            order = np.argsort(-p, kind="stable")
            kept = order[np.cumsum(p[order]) - p[order] < 0.9]
            ladder = np.cumsum(p[kept])
            token = int(kept[np.searchsorted(ladder, random.random() * ladder[-1], side="right")])
            losses.append(-float(logits.log_softmax(0)[token]))
            tokens.append(token)
            if token == 1:
                tokens.pop()
                break
        assert written.tokens == tokens[len(prompt) :]
        assert written.surprise == pytest.approx(np.mean(losses), rel=1e-4), "WRITE-2"
    assert write(weights, PROMPTS[1:2], SEEDS[1:2], sampling)[0].tokens == found[1].tokens
    assert write(weights, PROMPTS[1:2], SEEDS[:1], sampling)[0].tokens != found[1].tokens
