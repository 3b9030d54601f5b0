"""Log-likelihoods and answers of families whose attention or cache is not Llama's, beside transformers' own forward."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.helpers.engine import CPU
from tests.helpers.families import tiny_config, tiny_model
from tests.helpers.tiny import save_checkpoint
from tests.helpers.tried import loaded

from polyprune.evaluation.generation import stepper
from polyprune.evaluation.packing import LEAST_SHARED, pack
from polyprune.evaluation.scoring import Weights, score_rows
from polyprune.model.checkpoint import Checkpoint
from polyprune.model.decoder import Decoder

PASSAGE = [(7 * place * place + 3 * place) % 90 + 5 for place in range(LEAST_SHARED)]
PROMPTS = [[*PASSAGE, 11, 12, 13, 14], [*PASSAGE, 20, 21, 22], [30, 31, 32, 33, 34]]
CHANGES = {"falcon": {"alibi": True}}
"""What makes a family's attention another one."""
OPTIONS = [[50, 51, 52], [50, 60], [61], [62, 63, 64, 65]]


@torch.inference_mode()
def stock_logits(folder: Path, tokens: list[int]) -> torch.Tensor:
    return loaded(folder)(input_ids=torch.tensor([tokens]), use_cache=False).logits[0].float()


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("family", ["bloom", "codegen", "falcon", "gpt_neo", "gptj", "mpt", "opt", "xglm"])
def test_options_score_as_in_a_forward_of_their_own(tmp_path: Path, family: str, whole: bool) -> None:
    """Also where attention takes no mask of truth values, but adds it to its scores, or reads distances off it."""
    save_checkpoint(tiny_model(tiny_config(family, **CHANGES.get(family, {}))), tmp_path)
    weights = Weights(Decoder(Checkpoint(tmp_path), CPU), None, whole)
    pairs = [(prompt, option) for prompt in PROMPTS for option in OPTIONS]
    scores = score_rows(weights, pack(pairs, 64, weights.shares), len(pairs), 1024)
    for (prompt, option), score in zip(pairs, scores, strict=True):
        log_p = stock_logits(tmp_path, [*prompt, *option]).log_softmax(-1)[len(prompt) - 1 : -1]
        expected = sum(log_p[place, token].item() for place, token in enumerate(option))
        assert score.log_likelihood == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("family", ["bloom", "falcon_mamba", "gptj", "mamba", "mamba2", "mpt"])
@torch.inference_mode()
def test_an_answer_goes_on_from_all_that_was_read(tmp_path: Path, family: str) -> None:
    """Also where the family keeps its states under another name than keys and values."""
    save_checkpoint(tiny_model(tiny_config(family)), tmp_path)
    weights = Weights(Decoder(Checkpoint(tmp_path), CPU), None)
    tokens = [list(prompt) for prompt in PROMPTS]
    step = stepper(weights, tokens, 3)
    for _ in range(3):
        found = step.logits()
        for row, read in zip(found, tokens, strict=True):
            assert row == pytest.approx(stock_logits(tmp_path, read)[-1], abs=1e-4)
        chosen = found.argmax(-1).tolist()
        tokens = [[*read, token] for read, token in zip(tokens, chosen, strict=True)]
        step.append(chosen)
