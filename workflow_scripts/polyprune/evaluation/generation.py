"""Greedy generation in batches, for MKQA: as the harness's stock backend, to a stop text, the end or a maximum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from polyprune.evaluation.packing import Row, collate
from polyprune.evaluation.scoring import Budget, Weights
from polyprune.log import Progress
from polyprune.model.rope import switches_by_length


@dataclass(frozen=True)
class Limits:
    """When a generation ends."""

    stops: tuple[str, ...]
    max_tokens: int
    end_tokens: frozenset[int]


def generate(
    weights: Weights, tokenizer: Any, prompts: Sequence[Sequence[int]], limits: Limits, tokens_per_batch: int
) -> list[str]:
    """The continuation of each prompt without its stop text. Halves the budget when memory runs out."""
    budget = Budget(tokens_per_batch)
    texts: dict[int, str] = {}
    waiting = sorted(range(len(prompts)), key=lambda index: len(prompts[index]), reverse=True)
    progress = Progress(len(prompts), "prompt")
    while waiting:
        size = max(1, budget.tokens // (len(prompts[waiting[0]]) + limits.max_tokens))
        size = 1 if switches_by_length(weights.decoder.config) else size
        chosen = waiting[:size]
        batch = [list(prompts[index]) for index in chosen]
        found = budget.run(lambda batch=batch: _generate(weights, tokenizer, batch, limits), len(batch))
        if found is not None:
            texts |= dict(zip(chosen, found, strict=True))
            waiting = waiting[size:]
            progress.report(len(texts), f"{budget.tokens} tokens a batch")
    return [texts[index] for index in range(len(prompts))]


@torch.inference_mode()
def _generate(weights: Weights, tokenizer: Any, prompts: list[list[int]], limits: Limits) -> list[str]:
    step = stepper(weights, prompts, limits.max_tokens)
    generated: list[list[int]] = [[] for _ in prompts]
    running = [True] * len(prompts)
    for _ in range(limits.max_tokens):
        chosen = step.logits().argmax(dim=-1).tolist()
        for index, token in enumerate(chosen):
            if running[index]:
                running[index] = token not in limits.end_tokens
                if running[index]:
                    generated[index].append(token)
        texts = tokenizer.batch_decode(generated, skip_special_tokens=True)
        running = [
            goes_on and not any(stop in text for stop in limits.stops)
            for goes_on, text in zip(running, texts, strict=True)
        ]
        if not any(running):
            break
        step.append(chosen)
    return [cut(text, limits.stops) for text in tokenizer.batch_decode(generated, skip_special_tokens=True)]


def cut(text: str, stops: Sequence[str]) -> str:
    """The text up to the first stop."""
    for stop in stops:
        text = text.split(stop)[0]
    return text


def stepper(weights: Weights, prompts: list[list[int]], max_tokens: int) -> _Cached | _Recomputed:
    """What goes on from prompts token by token, for so many at most."""
    longest = max(map(len, prompts))
    one_kind = weights.kind_of(longest) == weights.kind_of(longest + max_tokens)
    return _Cached(weights, prompts) if weights.whole and one_kind else _Recomputed(weights, prompts)


class _Cached:
    """One new token a forward pass; keys and values of the earlier ones are kept. Prompts are padded on the left."""

    def __init__(self, weights: Weights, prompts: list[list[int]]) -> None:
        self.model, device = weights.decoder.model, weights.decoder.device
        length = max(map(len, prompts))
        padding = [length - len(prompt) for prompt in prompts]
        self.tokens = torch.tensor(
            [[0] * n + prompt for n, prompt in zip(padding, prompts, strict=True)], device=device
        )
        self.mask = torch.tensor([[0] * n + [1] * (length - n) for n in padding], device=device)
        self.positions = (self.mask.cumsum(1) - 1).clamp(min=0)
        self.cache = DynamicCache(config=weights.decoder.config)

    def logits(self) -> Tensor:
        """Of the next token, (n_prompts, vocabulary)."""
        found = self.model(
            input_ids=self.tokens,
            attention_mask=self.mask,
            position_ids=self.positions,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits
        return found[:, -1]

    def append(self, chosen: list[int]) -> None:
        self.tokens = torch.tensor(chosen, device=self.tokens.device)[:, None]
        self.mask = torch.cat([self.mask, torch.ones_like(self.tokens)], dim=1)
        self.positions = self.positions[:, -1:] + 1


class _Recomputed:
    """Everything anew for each token: where layers are streamed, which have no place for a cache, and where the answer
    grows into a length at which the model encodes all positions otherwise.
    """

    def __init__(self, weights: Weights, prompts: list[list[int]]) -> None:
        self.weights, self.sequences = weights, [list(prompt) for prompt in prompts]

    def logits(self) -> Tensor:
        """Of the next token, (n_prompts, vocabulary)."""
        rows = [Row(sequence, list(range(len(sequence))), [0] * len(sequence)) for sequence in self.sequences]
        hidden = self.weights.hidden([collate(rows, self.weights.decoder.device)])[0]
        last = torch.tensor([len(row) - 1 for row in rows], device=hidden.device)
        states = hidden[torch.arange(len(rows), device=hidden.device), last]
        return self.weights.decoder.logits(states[None])[0]

    def append(self, chosen: list[int]) -> None:
        for sequence, token in zip(self.sequences, chosen, strict=True):
            sequence.append(token)
