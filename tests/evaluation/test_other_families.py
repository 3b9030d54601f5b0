"""Log-likelihoods and answers of families whose attention or cache is not Llama's, beside transformers' own forward;
and of models that overflow.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.helpers.engine import CPU
from tests.helpers.families import tiny_config, tiny_model
from tests.helpers.tiny import random_model, save_checkpoint
from tests.helpers.tried import loaded

from polyprune.errors import UserError
from polyprune.evaluation.generation import Limits, generate, stepper
from polyprune.evaluation.packing import LEAST_SHARED, pack
from polyprune.evaluation.scoring import Weights, score_rows
from polyprune.evaluation.writing import Sampling, write
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


def test_a_model_that_overflows_is_refused_and_does_not_choose_the_first_option(tmp_path: Path) -> None:
    """Of NaN the harness takes the first option for the likeliest, and an argmax the first NaN."""
    model = random_model("llama", dtype=torch.float16)
    with torch.no_grad():
        model.state_dict()["model.layers.1.mlp.down_proj.weight"].fill_(6e4)
    weights = Weights(Decoder(Checkpoint(save_checkpoint(model, tmp_path)), CPU), None)
    with pytest.raises(UserError, match=r"2 of 2 predictions are NaN or infinite.*load it in bfloat16 or float32"):
        score_rows(weights, pack([([5, 6], [7]), ([5, 6], [8])], 64), 2, 512)
    with pytest.raises(UserError, match="1 of 1 predictions are NaN or infinite"):
        generate(weights, None, [[5, 6]], Limits((), 2, frozenset()), 512)
    with pytest.raises(UserError, match="1 of 1 predictions are NaN or infinite"):
        write(weights, [[5, 6]], ["seed"], Sampling(1.0, 0.9, 2, frozenset()))
