"""Greedy generation in batches, for MKQA: as the harness's stock backend, to a stop text, the end or a maximum."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from polyprune.evaluation.packing import Row, collate, fill_batch
from polyprune.evaluation.scoring import Budget, Weights, require_finite_predictions
from polyprune.log import Progress
from polyprune.maths.likeliest import likeliest
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
    """The continuation of each prompt without its stop text. Halves the budget when memory runs out.

    Raises:
        UserError: logits are not finite.
    """
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
    rows = running = list(range(len(prompts)))
    for _ in range(limits.max_tokens):
        logits = step.logits()
        tokens = likeliest(logits)
        require_finite_predictions(logits.gather(1, tokens[:, None]))
        chosen = tokens.tolist()
        found = dict(zip(rows, chosen, strict=True))
        running = [index for index in running if found[index] not in limits.end_tokens]
        for index in running:
            generated[index].append(found[index])
        if not running:
            break
        texts = tokenizer.batch_decode([generated[index] for index in running], skip_special_tokens=True)
        running = [
            index for index, text in zip(running, texts, strict=True) if not any(stop in text for stop in limits.stops)
        ]
        if not running:
            break
        step.append(chosen)
        if step.drops and len(running) < len(rows):
            step.keep([rows.index(index) for index in running])
            rows = running
    return [cut(text, limits.stops) for text in tokenizer.batch_decode(generated, skip_special_tokens=True)]


def cut(text: str, stops: Sequence[str]) -> str:
    """The text up to the first stop."""
    for stop in stops:
        text = text.split(stop)[0]
    return text


def stepper(weights: Weights, prompts: list[list[int]], max_tokens: int) -> _Cached | _Recomputed:
    """What goes on from prompts token by token, for so many at most; fastest with the longest first."""
    longest = max(map(len, prompts))
    one_kind = weights.kind_of(longest) == weights.kind_of(longest + max_tokens)
    cached = weights.whole and one_kind and _takes_cache(weights.decoder.model)
    return _Cached(weights, prompts, max_tokens) if cached else _Recomputed(weights, prompts)


def _takes_cache(model: nn.Module) -> bool:
    """Whether it takes keys and values by their usual name: Mamba's states have another, and what is unknown to a model
    of transformers is ignored.
    """
    return "past_key_values" in inspect.signature(model.forward).parameters


class _Cached:
    """One new token a forward pass; keys and values of the earlier ones are kept. Prompts are padded on the left.

    They are read in batches of about one length, whose keys and values are then padded in place of their tokens, and
    answers that have ended drop out: neither where a layer keeps something else, as a window or a state.
    """

    def __init__(self, weights: Weights, prompts: list[list[int]], max_tokens: int) -> None:
        self.model, self.config, device = weights.decoder.model, weights.decoder.config, weights.decoder.device
        self.drops = all(type(layer) is DynamicLayer for layer in DynamicCache(config=self.config).layers)
        self.tokens: Tensor | None = None
        caches, masks, found, left = [], [], [], prompts
        while left:
            rows = fill_batch(left, len(prompts) * len(left[0]), weights.kind_of) if self.drops else left
            left = left[len(rows) :]
            tokens, mask = _padded(rows, device), _padded([[1] * len(row) for row in rows], device)
            caches.append(DynamicCache(config=self.config))
            found.append(self._forward(tokens, mask, (mask.cumsum(1) - 1).clamp(min=0), caches[-1]))
            masks.append(mask)
        self.found, self.cache, length = torch.cat(found), caches[0], max(mask.shape[1] for mask in masks)
        if self.drops:
            layers = zip(*(cache.layers for cache in caches), strict=True)
            self.cache.layers = [_RoomyLayer(parts, length, max_tokens) for parts in layers]
        self.mask = torch.cat([pad(mask, (length - mask.shape[1], 0)) for mask in masks])
        self.positions = self.mask.sum(1, keepdim=True) - 1

    def _forward(self, tokens: Tensor, mask: Tensor, positions: Tensor, cache: DynamicCache) -> Tensor:
        found = self.model(
            input_ids=tokens,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return found.logits[:, -1]

    def logits(self) -> Tensor:
        """Of the next token, (n_prompts, vocabulary)."""
        if self.tokens is not None:
            self.found = self._forward(self.tokens, self.mask, self.positions, self.cache)
        return self.found

    def append(self, chosen: list[int]) -> None:
        self.tokens = torch.tensor(chosen, device=self.mask.device)[:, None]
        self.mask = torch.cat([self.mask, torch.ones_like(self.tokens)], dim=1)
        self.positions = self.positions + 1

    def keep(self, rows: list[int]) -> None:
        """Go on with these alone."""
        chosen = torch.tensor(rows, device=self.mask.device)
        self.cache.batch_select_indices(chosen)
        assert self.tokens is not None
        self.tokens, self.mask, self.positions = self.tokens[chosen], self.mask[chosen], self.positions[chosen]


def _padded(rows: list[list[int]], device: torch.device) -> Tensor:
    """With zeros on the left."""
    length = max(map(len, rows))
    return torch.tensor([[0] * (length - len(row)) + row for row in rows], device=device)


class _RoomyLayer(DynamicLayer):
    """Keys and values (n_prompts, n_heads, n_tokens, d_head) with room for tokens to come, written in place.

    They are those of several layers, one after the other, with zeros on the left, where nobody looks.
    """

    def __init__(self, parts: Sequence[DynamicLayer], length: int, room: int) -> None:
        super().__init__()
        self._all = [_with_room([getattr(part, name) for part in parts], length, room) for name in ("keys", "values")]
        self.dtype, self.device, self.is_initialized = self._all[0].dtype, self._all[0].device, True
        self._show(length)

    def _show(self, length: int) -> tuple[Tensor, Tensor]:
        self.keys, self.values = (states[:, :, :length] for states in self._all)
        return self.keys, self.values

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        start = self.get_seq_length()
        stop = start + key_states.shape[2]
        for states, new in zip(self._all, (key_states, value_states), strict=True):
            states[:, :, start:stop] = new
        return self._show(stop)

    def batch_select_indices(self, indices: Tensor) -> None:
        self._all = [states[indices] for states in self._all]
        self._show(self.get_seq_length())


def _with_room(parts: Sequence[Tensor], length: int, room: int) -> Tensor:
    """States of all parts, each with zeros on the left up to a length and place for so many tokens after it."""
    _, n_heads, _, d_head = parts[0].shape
    states = parts[0].new_zeros(sum(map(len, parts)), n_heads, length + room, d_head)
    for part, place in zip(parts, states.split([len(part) for part in parts]), strict=True):
        place[:, :, length - part.shape[2] : length] = part
    return states


class _Recomputed:
    """Everything anew for each token: where layers are streamed, which have no place for a cache, where a family has a
    cache of its own, and where the answer grows into a length at which the model encodes all positions otherwise.
    """

    drops = True

    def __init__(self, weights: Weights, prompts: list[list[int]]) -> None:
        self.weights, self.sequences = weights, [list(prompt) for prompt in prompts]

    def logits(self) -> Tensor:
        """Of the next token, (n_prompts, vocabulary)."""
        rows = [Row(sequence, list(range(len(sequence))), [0] * len(sequence)) for sequence in self.sequences]
        hidden = self.weights.hidden([collate(rows, self.weights.decoder.device)])[0]
        last = torch.tensor([len(row) - 1 for row in rows], device=hidden.device)
        states = hidden[torch.arange(len(rows), device=hidden.device), last]
        return self.weights.decoder.logits(states[None])[0]

    def keep(self, rows: list[int]) -> None:
        """Go on with these alone."""
        self.sequences = [self.sequences[row] for row in rows]

    def append(self, chosen: list[int]) -> None:
        for sequence, token in zip(self.sequences, chosen, strict=True):
            sequence.append(token)
