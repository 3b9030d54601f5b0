"""The paired pass against transformers' own forward of the dense and of the compressed model."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from tests.helpers.dumps import Arrays, arrays_of, dump_text, own_states, token_set
from tests.helpers.engine import put_weights, run_engine
from tests.helpers.tiny import random_model, random_tokens, save_checkpoint
from torch import Tensor
from torch.nn.functional import cross_entropy, linear
from transformers import PreTrainedModel

from polyprune.errors import UserError
from polyprune.maths.drift import pruning_error, snr_db
from polyprune.model import paired
from polyprune.model.paired import sampled_tokens

Pair = tuple[Arrays, PreTrainedModel, PreTrainedModel, Tensor]


@pytest.fixture(params=["llama", "cohere"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Pair:
    """A dump, the two models it is of, and the tokens."""
    folder = save_checkpoint(random_model(request.param), tmp_path / "model")
    cell = run_engine(folder, random_tokens(16, 24, seed=1), "sparsegpt", "0.50", tmp_path / "cell.safetensors")
    tokens = random_tokens(5, 24, seed=2)
    dump_text(folder, tokens, [cell], [tmp_path / "dump.h5"])
    pruned = random_model(request.param)
    put_weights(pruned, cell)
    return arrays_of(tmp_path / "dump.h5"), random_model(request.param), pruned, tokens


def test_sums_means_and_sample_equal_a_direct_computation(
    pair: Pair,
) -> None:
    found, dense_model, pruned_model, tokens = pair
    dense, _ = own_states(dense_model, tokens)
    pruned, _ = own_states(pruned_model, tokens)
    assert len(found["prompts/mean"]) == len(dense) == 5
    places = found["tokens/sequence"] * 24 + found["tokens/position"]
    assert np.array_equal(found["tokens/token_id"], tokens.flatten().numpy()[places])
    for row, (h, p) in enumerate(zip(dense, pruned, strict=True)):
        h64, p64 = h.double(), p.double()
        expected = {
            "norm": h64.norm(dim=-1).sum(1),
            "sq": h64.square().sum((1, 2)),
            "norm_pruned": p64.norm(dim=-1).sum(1),
            "sq_pruned": p64.square().sum((1, 2)),
            "dot": (h64 * p64).sum((1, 2)),
            "diff": (h64 - p64).square().sum((1, 2)),
            "distance": (h64 - p64).norm(dim=-1).sum(1),
        }
        for name, value in expected.items():
            np.testing.assert_allclose(
                found[f"sums/{name}"][:, row], value.numpy(), rtol=2e-5, atol=1e-7, err_msg=f"{name} {row}"
            )
        np.testing.assert_allclose(found["prompts/mean"][row], p.mean(1).numpy(), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(found["tokens/hidden"][row], p.flatten(0, 1).numpy()[places], rtol=1e-4, atol=1e-5)
    assert not found["sums/diff"][:, 0].any() and (found["sums/diff"][:, 1:] > 0).all()


def test_predictions_equal_a_direct_computation(
    pair: Pair,
) -> None:
    found, dense_model, pruned_model, tokens = pair
    _, dense = own_states(dense_model, tokens)
    _, pruned = own_states(pruned_model, tokens)
    for name, logits in (("nll_dense", dense), ("nll_pruned", pruned)):
        loss = cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten(), reduction="none").view(5, 23)
        np.testing.assert_allclose(found[f"sums/{name}"], loss.numpy(), rtol=1e-4, atol=1e-5)
    p, q = dense[:, :-1].double().log_softmax(-1), pruned[:, :-1].double().log_softmax(-1)
    np.testing.assert_allclose(found["sums/kl"], (p.exp() * (p - q)).sum(-1).numpy(), rtol=1e-3, atol=1e-5)
    targets = token_set(tokens).targets
    assert np.array_equal(found["sums/target"], targets) and 0 < targets.sum() < targets.size
    agree = ((p.argmax(-1) == q.argmax(-1)).numpy() & targets).sum(1)
    assert np.array_equal(found["sums/agree"], agree)
    assert np.array_equal(found["sums/bytes"], (token_set(tokens).n_bytes[:, 1:] * targets).sum(1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("n_cells", [0, 2])
def test_predictions_do_not_depend_on_how_many_tokens_are_taken_at_once(
    dtype: torch.dtype, n_cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit by bit what log-softmax of all logits in float32 gives, three tokens at a time of eight, and all at once."""
    draw = torch.Generator().manual_seed(0)
    head = torch.randn(61, 16, generator=draw).to(dtype)
    decoder: Any = SimpleNamespace(logits=lambda normed: linear(normed, head))
    states = [torch.randn(8, 16, generator=draw).to(dtype) for _ in range(1 + n_cells)]
    targets = torch.randint(61, (8, 1), generator=draw)
    log_p, *others = (linear(of_stream, head).float().log_softmax(-1) for of_stream in states)
    expected = [{"nll_dense": -log_p.gather(1, targets)[:, 0]} for _ in range(max(1, n_cells))]
    for scores, log_q in zip(expected, others, strict=False):
        scores["nll_pruned"] = -log_q.gather(1, targets)[:, 0]
        scores["agree"] = log_q.argmax(-1) == log_p.argmax(-1)
        scores["kl"] = (log_q - log_p).neg().mul(log_p.exp()).sum(-1)
    for at_once in (3 * 61, 1 << 19):
        monkeypatch.setitem(paired._LOGITS_AT_ONCE, "cpu", at_once)
        found = list(paired.scores_of(decoder, states, targets))
        assert [set(scores) for scores in found] == [set(scores) for scores in expected]
        assert all(torch.equal(a[name], b[name]) for a, b in zip(found, expected, strict=True) for name in a)


def test_drift_of_the_sums_is_drift_of_the_states(
    pair: Pair,
) -> None:
    """DRIFT-1 and DRIFT-2 by their definitions, token by token."""
    found, dense_model, pruned_model, tokens = pair
    h = own_states(dense_model, tokens)[0][2].double().flatten(0, 1)
    p = own_states(pruned_model, tokens)[0][2].double().flatten(0, 1)
    mu = h.norm(dim=1).mean()
    error = ((h - p) / mu).square().mean().item()
    snr = 10 * math.log10((h / mu).square().sum(1).mean() / ((h - p) / mu).square().sum(1).mean())
    totals = {name: found[f"sums/{name}"].sum(0) for name in ("norm", "sq", "diff")}
    assert pruning_error(tokens.numel(), totals["norm"], totals["diff"], 32)[2] == pytest.approx(error, rel=1e-4)
    assert snr_db(totals["sq"], totals["diff"])[2] == pytest.approx(snr, rel=1e-4)


def test_massive_tokens_are_those_of_the_whole_text(tmp_path: Path) -> None:
    """MASSIVE-1 and DRIFT-3 by their definitions, with one token's embedding 100 times as long.

    It is most of one batch, whose median is another than the text's, and once in another.
    """
    models = [random_model("llama"), random_model("llama")]
    for model in models:
        with torch.no_grad():
            cast(Tensor, model.get_input_embeddings().weight)[5].mul_(100)
    folder = save_checkpoint(models[0], tmp_path / "model")
    cell = run_engine(folder, random_tokens(16, 24, seed=1), "wanda", "0.50", tmp_path / "cell.safetensors")
    put_weights(models[1], cell)
    tokens = random_tokens(5, 24, seed=2)
    tokens[tokens == 5] = 6
    tokens[:2, :15], tokens[3, 7] = 5, 5
    dump_text(folder, tokens, [cell], [tmp_path / "dump.h5"])
    found = arrays_of(tmp_path / "dump.h5")
    left_out = []
    for row, (h, p) in enumerate(zip(own_states(models[0], tokens)[0], own_states(models[1], tokens)[0], strict=True)):
        norm, distance = h.double().norm(dim=-1).numpy(), (h - p).double().norm(dim=-1).numpy()
        usual = norm <= 5 * np.median(norm)
        left_out.append(int((~usual).sum()))
        assert np.array_equal(found["sums/robust_n"][:, row], usual.sum(1))
        for name, values in (("norm", norm), ("sq", norm**2), ("diff", distance**2)):
            expected = np.where(usual, values, 0).sum(1)
            np.testing.assert_allclose(found[f"sums/robust_{name}"][:, row], expected, rtol=2e-5, atol=1e-7)
    assert left_out[0] == 31 and left_out[-1] == 0, "raw states, and normed ones, which are about equally long"
    dump_text(folder, tokens, [], [tmp_path / "dense.h5"])
    dense = arrays_of(tmp_path / "dense.h5")
    assert all(np.array_equal(dense[f"sums/robust_{name}"], found[f"sums/robust_{name}"]) for name in ("n", "sq"))


def test_dense_dump_has_no_pruned_stream(tmp_path: Path) -> None:
    folder = save_checkpoint(random_model("llama"), tmp_path)
    tokens = random_tokens(3, 24)
    dump_text(folder, tokens, [], [tmp_path / "dump.h5"], n_sampled=1000)
    found = arrays_of(tmp_path / "dump.h5")
    assert {name[5:] for name in found if name.startswith("sums/")} == {
        "n",
        "bytes",
        "target",
        "norm",
        "sq",
        "robust_n",
        "robust_norm",
        "robust_sq",
        "nll_dense",
    }
    assert found["tokens/hidden"].shape == (5, 72, 32)
    expected, _ = own_states(random_model("llama"), tokens)
    np.testing.assert_allclose(found["prompts/mean"][3], expected[3].mean(1).numpy(), rtol=1e-4, atol=1e-6)


def test_16_bit_states_are_kept_exactly(tmp_path: Path) -> None:
    """The embedding's row of the sample is the embedding of its tokens, bit by bit."""
    for dtype, stored in ((torch.bfloat16, np.uint16), (torch.float16, np.float16)):
        model = random_model("llama", dtype=dtype)
        folder = save_checkpoint(model, tmp_path / str(dtype))
        dump_text(folder, random_tokens(3, 24), [], [tmp_path / "dump.h5"], n_sampled=9)
        found = arrays_of(tmp_path / "dump.h5")
        assert str(found["encoding"]) == str(dtype).removeprefix("torch.") and found["tokens/hidden"].dtype == stored
        states = torch.from_numpy(found["tokens/hidden"]).view(dtype)
        assert torch.isfinite(states).all() and states.abs().max() > 0
        embedding = model.get_input_embeddings()(torch.from_numpy(found["tokens/token_id"]).long())
        assert torch.equal(states[0], embedding)


def test_overflow_of_float16_is_refused(tmp_path: Path) -> None:
    model = random_model("llama", dtype=torch.float16)
    with torch.no_grad():
        model.state_dict()["model.layers.1.mlp.down_proj.weight"].fill_(6e4)
    folder = save_checkpoint(model, tmp_path / "model")
    with pytest.raises(UserError, match="layer row 2 overflow: load the model in bfloat16 or float32"):
        dump_text(folder, random_tokens(3, 24), [], [tmp_path / "dump.h5"])
    assert not list(tmp_path.glob("dump*"))


def test_losses_that_overflow_in_the_head_are_refused(tmp_path: Path) -> None:
    """States are finite, logits are not: perplexity would be NaN, and all tokens would agree."""
    model = random_model("llama", dtype=torch.float16)
    with torch.no_grad():
        model.state_dict()["lm_head.weight"].mul_(2e5).clamp_(-6e4, 6e4)
    folder = save_checkpoint(model, tmp_path / "model")
    with pytest.raises(UserError, match="losses are not finite: the model's head overflows"):
        dump_text(folder, random_tokens(3, 24), [], [tmp_path / "dump.h5"])
    assert not list(tmp_path.glob("dump*"))


def test_the_token_sample_depends_on_the_data_alone() -> None:
    sample = sampled_tokens("abc", 1000, 50)
    assert np.array_equal(sample, sampled_tokens("abc", 1000, 50))
    assert not np.array_equal(sample, sampled_tokens("abd", 1000, 50))
    assert len(set(sample)) == 50 and (np.diff(sample) > 0).all() and sample.max() < 1000
    assert np.array_equal(sampled_tokens("abc", 5, 50), np.arange(5))
