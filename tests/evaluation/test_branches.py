"""Attention branch by branch is that of the batch's mask, and is used for nothing else."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from tests.helpers.harness import language_model, model_folder
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

from polyprune.evaluation import branches
from polyprune.evaluation.branches import branchwise
from polyprune.evaluation.packing import Batch, collate, pack
from polyprune.evaluation.scoring import score_rows

CPU = torch.device("cpu")


def tokens(count: int, start: int) -> list[int]:
    return list(range(start, start + count))


def of_rows() -> Batch:
    """A prompt with three options; two prompts with a passage in common, one of them with two options; a plain row."""
    passage = tokens(70, 100)
    pairs = [(tokens(90, 0), tokens(n, 1000 * n)) for n in (60, 80, 2)]
    pairs += [([*passage, *tokens(60, 300)], tokens(n, 2000 * n)) for n in (61, 3)] + [([*passage, 7, 8], [9, 5, 6])]
    pairs += [(tokens(150, 5000), [4])]
    return collate(pack(pairs, 512), CPU)


class Asked(TorchFunctionMode):
    """Counts queries and keys that attention is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: Counter[tuple[int, int]] = Counter()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is scaled_dot_product_attention:
            self.shapes[args[0].shape[2], args[1].shape[2]] += 1
        return func(*args, **(kwargs or {}))


def states(batch: Batch) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(len(batch.rows), 2, batch.tokens.shape[1], 16, generator=generator) for _ in range(3)]


def test_every_branch_sees_what_the_mask_shows() -> None:
    batch = of_rows()
    assert len(batch.rows) == 3 and any(row.parents for row in batch.rows) and batch.mask is not None
    given = states(batch)
    expected = scaled_dot_product_attention(*given, attn_mask=batch.mask, scale=0.3)
    with Asked() as asked, branchwise(batch):
        found = scaled_dot_product_attention(*given, attn_mask=batch.mask.expand(-1, -1, -1, -1), scale=0.3)
    assert asked.shapes[59, 149] == asked.shapes[79, 169] == 1, "options, with their prompt"
    assert asked.shapes[60, 190] == 1, "an option of a prompt that is a branch itself"
    for row, one, other in zip(batch.rows, found, expected, strict=True):
        torch.testing.assert_close(one[:, : len(row)], other[:, : len(row)], atol=1e-6, rtol=0)


def test_other_masks_are_left_alone() -> None:
    batch = of_rows()
    assert batch.mask is not None
    given = states(batch)
    for mask in (batch.mask.clone(), torch.zeros(batch.mask.shape), None):
        with Asked() as asked, branchwise(batch):
            scaled_dot_product_attention(*given, attn_mask=mask)
        assert asked.shapes == {(batch.tokens.shape[1],) * 2: 1}


def test_short_branches_are_computed_at_once() -> None:
    batch = collate(pack([(tokens(90, 0), tokens(4, start)) for start in (200, 300)], 512), CPU)
    assert batch.mask is not None
    with Asked() as asked, branchwise(batch):
        scaled_dot_product_attention(*states(batch), attn_mask=batch.mask)
    assert asked.shapes == {(96, 96): 1}


@pytest.mark.parametrize("architecture", ["llama", "cohere"])
def test_models_of_transformers_take_it_and_score_the_same(
    architecture: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = language_model(model_folder(tmp_path, architecture))
    pairs = [([2, *tokens(60, 3)], tokens(n, n)) for n in (50, 70)]
    rows = pack(pairs, lm.max_length)
    with Asked() as asked:
        found = score_rows(lm.weights, rows, 2, 2048)
    assert asked.shapes[69, 130] == lm.weights.decoder.n_layers
    monkeypatch.setattr(branches, "WORTHWHILE", 1000)
    for one, other in zip(found, score_rows(lm.weights, rows, 2, 2048), strict=True):
        assert one.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-4)
        assert one.greedy == other.greedy
