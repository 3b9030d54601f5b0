"""What is computed once, and what not at all: passages of several questions, padding, answers that have ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.helpers.harness import language_model, model_folder
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

from polyprune.evaluation.generation import Limits, _Cached
from polyprune.evaluation.packing import pack
from polyprune.evaluation.scoring import score_rows


@pytest.fixture(scope="module", params=["llama", "cohere"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_folder(tmp_path_factory.mktemp(request.param), request.param)


def test_questions_on_one_passage_share_its_pass_and_score_as_alone(folder: Path) -> None:
    lm = language_model(folder)
    passage = "Where is the house? It is where the river meets the road, and nobody knows since when. " * 2
    pairs = [
        (f"{passage}Question {i}: {'why ' * i}?\nAnswer:", option) for i in range(3) for option in (" A", " no reason")
    ]
    encoded = lm.encode_pairs(pairs)
    together, alone = pack(encoded, lm.max_length), pack(encoded, lm.max_length, share=False)
    assert len(together) == 1 and len(alone) == 6 and len(together[0]) < sum(map(len, alone)) / 3
    for mine, other in zip(
        score_rows(lm.weights, together, 6, 2048), score_rows(lm.weights, alone, 6, 2048), strict=True
    ):
        assert mine.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-5)
        assert mine.greedy == other.greedy


@pytest.mark.parametrize("whole", [True, False])
def test_of_attention_on_shared_rows_no_more_than_keys_so_far_are_multiplied(folder: Path, whole: bool) -> None:
    class Asked(TorchFunctionMode):
        pairs = 0

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is scaled_dot_product_attention:
                self.pairs += args[0].shape[-2] * args[1].shape[-2]
            return func(*args, **(kwargs or {}))

    lm = language_model(folder, whole=whole)
    rows = pack([([7] * 150 + [question] * 20, [8, option]) for question in (3, 4) for option in (5, 6)], 640)
    with Asked() as asked:
        score_rows(lm.weights, rows, 4, 2048)
    (length,) = map(len, rows)
    assert length == 192 and asked.pairs == lm.weights.decoder.n_layers * 64 * (64 + 128 + 192)


def test_answers_that_ended_are_computed_no_more_and_prompts_not_padded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = language_model(folder)
    prompts = [prompt for prompt, _ in lm.encode_pairs([("why " * n, " x") for n in (30, 29, 3, 9)])]
    free = Limits((), 8, frozenset())
    alone = [lm._generate([], [prompt], free)[0] for prompt in prompts]
    shapes = []
    forward = _Cached._forward

    def watched(self: Any, tokens: torch.Tensor, *rest: Any) -> torch.Tensor:
        shapes.append(tuple(tokens.shape))
        return forward(self, tokens, *rest)

    monkeypatch.setattr(_Cached, "_forward", watched)
    assert lm._generate([], prompts, free) == alone
    longest, *_ = lengths = sorted(map(len, prompts), reverse=True)
    assert shapes == [(2, longest), (1, lengths[2]), (1, lengths[3]), *[(4, 1)] * 7]
    stop = alone[0][2:4]
    shapes.clear()
    assert lm._generate([], prompts, Limits((stop,), 8, frozenset())) == [text.split(stop)[0] for text in alone]
    assert any(0 < rows < 4 for rows, _ in shapes[3:])


def test_keys_and_values_are_written_in_place(folder: Path) -> None:
    lm = language_model(folder)
    prompts = [prompt for prompt, _ in lm.encode_pairs([("why " * n, " x") for n in (9, 3)])]
    step = _Cached(lm.weights, prompts, 4)
    kept = [(layer.keys.data_ptr(), layer.values.data_ptr()) for layer in step.cache.layers]
    for _ in range(4):
        step.append(step.logits().argmax(1).tolist())
    step.logits()
    assert [(layer.keys.data_ptr(), layer.values.data_ptr()) for layer in step.cache.layers] == kept
    assert step.cache.get_seq_length() == len(prompts[0]) + 4
