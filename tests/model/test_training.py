"""The demo's optimiser and schedule."""

from __future__ import annotations

from itertools import pairwise

import torch

from polyprune.model.training import Muon, build_model, newton_schulz, rate_factor, train, train_tokenizer
from polyprune.settings.models import Shape, TrainedSource

SHAPE = Shape(layers=2, hidden=32, intermediate=64, heads=4, kv_heads=2, vocabulary=300, max_positions=64)
SOURCE = TrainedSource.model_validate(
    {
        "kind": "train",
        "architecture": "llama",
        "steps": 60,
        "batch_sequences": 4,
        "sequence_length": 32,
        "vocabulary": 300,
    }
)


def test_newton_schulz_keeps_directions_and_evens_out_singular_values() -> None:
    matrices = torch.randn(3, 20, 8, generator=torch.Generator().manual_seed(0))
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    result = newton_schulz(matrices)
    values = torch.linalg.svdvals(result)
    assert values.min() > 0.5 and values.max() < 1.5
    aligned = torch.einsum("nij,nik,nkj->nj", left, result, right.mT)
    torch.testing.assert_close(aligned.sort().values, values.sort().values, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(newton_schulz(matrices.mT), result.mT)


def test_muon_steps_downhill_and_decays_weights() -> None:
    weight = torch.nn.Parameter(torch.eye(4))
    optimizer = Muon([weight], lr=0.1, weight_decay=0.5)
    (weight * torch.ones(4, 4)).sum().backward()
    before = weight.detach().clone()
    optimizer.step()
    change = weight.detach() - before * (1 - 0.1 * 0.5)
    assert (change < 0).all()  # gradient is all ones


def test_rate_rises_then_falls_to_a_twentieth() -> None:
    rates = [rate_factor(step, 900) for step in range(900)]
    assert rates[0] < 0.05 and max(rates) == rates[44] == 1.0
    assert all(earlier >= later for earlier, later in pairwise(rates[44:]))
    assert abs(rates[-1] - 0.05) < 0.002


def test_training_learns_and_repeats_exactly() -> None:
    pattern = torch.arange(32).remainder(7).repeat(16, 1) + torch.arange(16)[:, None]
    first, second = build_model(SOURCE, SHAPE), build_model(SOURCE, SHAPE)
    before = first(pattern, labels=pattern).loss.item()
    train(first, pattern, SOURCE)
    train(second, pattern, SOURCE)
    assert first(pattern, labels=pattern).loss.item() < 0.5 * before
    for one, two in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, two)


def test_every_expert_of_a_mixture_is_trained() -> None:
    """A stack steps as its matrices would alone; no parameter is left out."""
    stack = torch.nn.Parameter(torch.randn(3, 6, 4, generator=torch.Generator().manual_seed(0)))
    alone = [torch.nn.Parameter(matrix.clone()) for matrix in stack.detach()]
    for parameters in ([stack], alone):
        optimizer = Muon(parameters, lr=0.1, weight_decay=0.5)
        torch.stack([(parameter**3).sum() for parameter in parameters]).sum().backward()
        optimizer.step()
    torch.testing.assert_close(stack.detach(), torch.stack([each.detach() for each in alone]))
    mixture = SOURCE.model_copy(update={"architecture": "olmoe", "steps": 5})
    model = build_model(mixture, SHAPE)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    train(model, torch.randint(300, (16, 32), generator=torch.Generator().manual_seed(0)), mixture)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == set(before) and sum("experts" in name for name in changed) == 2 * 2


def test_tokenizer_keeps_han_characters_apart_and_loses_nothing() -> None:
    texts = ["世界你好世界你好", "Die Wohnung ist groß.", "السلام عليكم"] * 20
    tokenizer = train_tokenizer(texts, 300)
    backend = tokenizer.backend_tokenizer
    for text in texts[:3]:
        assert backend.decode(backend.encode(text).ids) == text
    assert len(backend.encode("世界你好").ids) >= 4
    assert tokenizer.bos_token_id == 0 and tokenizer.eos_token_id == 1
