"""Log-likelihoods of continuations from packed rows (`packing.py`), on a model that is loaded whole or streamed.

    SCORE-1   log p(y | x) = Σ_t (z[t, y_t] − logsumexp z[t])     z: logits where y_t is predicted, float32

The head is applied only where a token is predicted, and sums are taken on the host, so they do not depend on the order
in which a GPU adds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from polyprune.artifacts.cells import CellReader
from polyprune.errors import UserError
from polyprune.evaluation.packing import Batch, Row, collate, fill_batch
from polyprune.log import Progress, logger
from polyprune.maths.checks import is_finite
from polyprune.maths.likeliest import likeliest
from polyprune.model.calls import through
from polyprune.model.compression import apply_cell
from polyprune.model.cpu_attention import quick_attention
from polyprune.model.cpu_products import make_ready
from polyprune.model.decoder import Decoder
from polyprune.model.paired import tokens_at_once
from polyprune.model.rope import Kind, kind_of, switches_by_length

MOST_ON_CPU = 1024
"""Tokens of a batch on a CPU. More are no faster, and take memory that the system clears for each batch anew."""
_SHARE_OF_MEMORY = 0.6
_BATCHES_PER_WALK = 64


class Weights:
    """A model, compressed by `cell` or dense, ready for forward passes.

    `whole`: all layers are in memory. Else every walk reads them anew, so it takes many batches along.
    """

    def __init__(self, decoder: Decoder, cell: CellReader | None, whole: bool | None = None) -> None:
        self.decoder, self.cell = decoder, cell
        self.whole = fits(decoder) if whole is None else whole
        if self.whole:
            for _ in self._walk(keep=True):
                pass
            make_ready(decoder.model, decoder.model.get_output_embeddings())
        logger.info("layers %s, %s", "in memory" if self.whole else "streamed", decoder.device)

    def _walk(self, keep: bool) -> Iterator[tuple[int, torch.nn.Module]]:
        for index, layer in self.decoder.walk(keep):
            if self.cell is not None:
                apply_cell(self.decoder, index, self.cell)
            yield index, layer

    @torch.inference_mode()
    def hidden(self, batches: Sequence[Batch]) -> list[Tensor]:
        """Outputs of the final norm (n_rows, length, d_model), batch by batch."""
        with quick_attention(self.decoder.device):
            return self._hidden(batches)

    def _hidden(self, batches: Sequence[Batch]) -> list[Tensor]:
        inputs = [
            {"input_ids": batch.tokens, "position_ids": batch.positions, "attention_mask": batch.mask}
            for batch in batches
        ]
        if self.whole:
            return [self.decoder.base(**one, use_cache=False).last_hidden_state for one in inputs]
        states, calls = map(list, zip(*(self.decoder.enter(**one) for one in inputs), strict=True))
        for index, layer in self._walk(keep=False):
            states = [through(layer, state, call[index]) for state, call in zip(states, calls, strict=True)]
        return [self.decoder.normalise(state) for state in states]

    @property
    def shares(self) -> bool:
        """Whether continuations may share a row with their prompt: attention is full in every layer, so that the rows'
        masks mean the same in all, and positions are encoded alike whatever the length, and not by masks (`alibi`). It
        is `sdpa`: `eager` adds a mask to its scores, and masks of truth values hide nothing then.
        """
        config = self.decoder.config
        kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
        full = kinds == {"full_attention"} and not getattr(config, "sliding_window", None)
        masked = config._attn_implementation == "sdpa" and not getattr(config, "alibi", False)
        return full and masked and not switches_by_length(config)

    def kind_of(self, length: int) -> Kind:
        """Rows of lengths of one kind may share a batch."""
        return kind_of(self.decoder.config, length)


def fits(decoder: Decoder) -> bool:
    """Whether all layers can be in memory and leave room to work."""
    if decoder.device.type == "cpu":
        return True
    parameters = sum(parameter.numel() for parameter in decoder.layers.parameters())
    free, _ = torch.cuda.mem_get_info(decoder.device)
    return parameters * decoder.dtype.itemsize <= _SHARE_OF_MEMORY * free


@dataclass(frozen=True)
class Score:
    """Sum of log-probabilities of a continuation (SCORE-1), nats; `greedy`: whether each token was the likeliest."""

    log_likelihood: float
    greedy: bool


def score_rows(weights: Weights, rows: Sequence[Row], n_requests: int, tokens_per_batch: int) -> list[Score]:
    """Scores of all requests; `rows` longest first. Halves the budget, on a CPU `MOST_ON_CPU`, when memory runs out.

    Raises:
        UserError: not even one row fits.
    """
    on_cpu = weights.decoder.device.type == "cpu"
    budget = Budget(min(tokens_per_batch, MOST_ON_CPU) if on_cpu else tokens_per_batch)
    scores: dict[int, Score] = {}
    waiting = list(rows)
    progress = Progress(n_requests, "request")
    while waiting:
        work, left = [], waiting
        for _ in range(1 if weights.whole else _BATCHES_PER_WALK):
            if left:
                work.append(fill_batch(left, budget.tokens, weights.kind_of))
                left = left[len(work[-1]) :]
        found = budget.run(lambda work=work: _score(weights, work), max(map(len, work)))
        if found is not None:
            scores |= found
            waiting = left
            progress.report(len(scores), f"{budget.tokens} tokens a batch")
    return [scores[request] for request in range(n_requests)]


class Budget:
    """Tokens a batch; halved whenever memory runs out."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens

    def run(self, work: Any, largest: int) -> Any:
        """The result of `work()`; None if memory ran out and the budget was halved. `largest`: sequences of a batch."""
        try:
            return work()
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            if largest == 1:
                raise UserError(
                    "out of memory with a single sequence: use a GPU with more memory or set engine.device to cpu"
                ) from error
        self.tokens //= 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        logger.info("out of memory: going on with %d tokens a batch (engine.tokens_per_batch)", self.tokens)
        return None


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


@torch.inference_mode()
def _score(weights: Weights, work: Sequence[list[Row]]) -> dict[int, Score]:
    batches = [collate(rows, weights.decoder.device) for rows in work]
    scores: dict[int, Score] = {}
    for batch, hidden in zip(batches, weights.hidden(batches), strict=True):
        picks = [
            (request, (index, place), token)
            for index, row in enumerate(batch.rows)
            for request, place, token in row.picks
        ]
        places = {place: number for number, place in enumerate(dict.fromkeys(place for _, place, _ in picks))}
        log_p, first = _predict(
            weights.decoder, hidden, list(places), [places[place] for _, place, _ in picks], [pick[2] for pick in picks]
        )
        sums: dict[int, tuple[float, bool]] = {}
        for (request, _, _), value, top in zip(picks, log_p, first, strict=True):
            before, greedy = sums.get(request, (0.0, True))
            sums[request] = before + value, greedy and top
        scores |= {request: Score(*found) for request, found in sums.items()}
    return scores


def _predict(
    decoder: Decoder, hidden: Tensor, places: list[tuple[int, int]], numbers: list[int], tokens: list[int]
) -> tuple[list[float], list[bool]]:
    """Log-probability of each token at `places[number]`, and whether it is the likeliest there."""
    rows, columns = torch.tensor(places, device=hidden.device).T
    states = hidden[rows, columns]
    number, token = torch.tensor(numbers, device=hidden.device), torch.tensor(tokens, device=hidden.device)
    log_p = torch.empty(len(numbers), dtype=torch.float32, device=hidden.device)
    first = torch.empty(len(numbers), dtype=torch.bool, device=hidden.device)
    step = tokens_at_once(hidden.device.type, decoder.config.vocab_size)
    for start in range(0, len(states), step):
        logits = decoder.logits(states[None, start : start + step])[0].float()
        here = (number >= start) & (number < start + step)
        at, wanted = number[here] - start, token[here]
        log_p[here] = logits.log_softmax(dim=-1)[at, wanted]
        first[here] = likeliest(logits)[at] == wanted
    require_finite_predictions(log_p)
    return log_p.tolist(), first.tolist()


def require_finite_predictions(predictions: Tensor) -> None:
    """Raises `UserError` for log-probabilities or largest logits that are not finite: by them any token is as good."""
    if not is_finite(predictions):
        n_bad = int((~torch.isfinite(predictions)).sum())
        raise UserError(
            f"{n_bad} of {predictions.numel()} predictions are NaN or infinite: the model overflows; load it in "
            "bfloat16 or float32 (`source.dtype`)"
        )
