"""Text that a model writes by sampling: continuations of prompts, each with random numbers of its own.

    WRITE-1   p(t) ∝ exp(z[t] / T) over the likeliest tokens whose probabilities sum to `top_p`, the last one included
    WRITE-2   surprise = −(1/n) Σ_i log softmax(z_i)[t_i], over the n tokens written, without temperature and cut

The token of a step is where a uniform number falls among the cumulated probabilities, likeliest first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor

from polyprune.evaluation.generation import stepper
from polyprune.evaluation.scoring import Weights, require_finite_predictions


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn (WRITE-1), and when a text ends: at one of `end_tokens`, or after `max_tokens`."""

    temperature: float
    top_p: float
    max_tokens: int
    end_tokens: frozenset[int]


@dataclass(frozen=True)
class Written:
    """Tokens after the prompt, without the one that ended the text, and their mean surprise (WRITE-2), nats."""

    tokens: list[int]
    surprise: float


@torch.inference_mode()
def write(
    weights: Weights, prompts: Sequence[Sequence[int]], seeds: Sequence[str], sampling: Sampling
) -> list[Written]:
    """A continuation of each prompt, from the random numbers of its seed.

    Raises:
        UserError: logits are not finite.
    """
    randoms = [Random(seed) for seed in seeds]
    step = stepper(weights, [list(prompt) for prompt in prompts], sampling.max_tokens)
    tokens: list[list[int]] = [[] for _ in prompts]
    surprises: list[list[float]] = [[] for _ in prompts]
    running = [True] * len(prompts)
    for _ in range(sampling.max_tokens):
        logits = step.logits().float().cpu()
        require_finite_predictions(logits.amax(dim=1))
        chosen = draw(logits, [random.random() for random in randoms], sampling.temperature, sampling.top_p)
        losses = -logits.log_softmax(dim=-1)[torch.arange(len(prompts)), torch.tensor(chosen)]
        for index, (token, loss) in enumerate(zip(chosen, losses.tolist(), strict=True)):
            if running[index]:
                surprises[index].append(loss)
                running[index] = token not in sampling.end_tokens
                tokens[index] += [token] if running[index] else []
        if not any(running):
            break
        step.append(chosen)
    return [Written(each, sum(losses) / len(losses)) for each, losses in zip(tokens, surprises, strict=True)]


def draw(logits: Tensor, uniforms: Sequence[float], temperature: float, top_p: float) -> list[int]:
    """WRITE-1: a token a row of logits (n, vocabulary), by a number in [0, 1) each."""
    sorted_p, order = (logits.double() / temperature).softmax(dim=-1).sort(dim=-1, descending=True, stable=True)
    before = sorted_p.cumsum(dim=-1) - sorted_p
    kept = sorted_p.where(before < top_p, 0.0)
    cumulated = kept.cumsum(dim=-1)
    wanted = torch.tensor(uniforms, dtype=torch.float64)[:, None] * cumulated[:, -1:]
    places = torch.searchsorted(cumulated, wanted, right=True).clamp(max=logits.shape[-1] - 1)
    return order.gather(1, places)[:, 0].tolist()
