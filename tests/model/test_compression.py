"""The engine end to end against a plain reading of the published loops, written here for comparison only."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
import torch
from tests.helpers.cells import kept_of
from tests.helpers.engine import CPU, linears_of, run_engine
from tests.helpers.tiny import random_model, random_tokens, save_checkpoint
from torch import Tensor, nn
from transformers import PreTrainedModel

from polyprune.artifacts.cells import CellReader
from polyprune.errors import UserError
from polyprune.methods import sparsegpt, wanda
from polyprune.methods.job import Job
from polyprune.model import compression
from polyprune.model.checkpoint import Checkpoint
from polyprune.model.compression import apply_cell
from polyprune.model.decoder import Decoder

# The reference: one hook per linear layer, a statistic each, two forwards a layer, an eager column loop.


def reference_wanda(weight: Tensor, inputs: Tensor, scheme: str) -> tuple[Tensor, Tensor]:
    scores = weight.abs() * inputs.square().sum(0).sqrt()
    keep = torch.ones_like(weight, dtype=torch.bool)
    if scheme == "2of4":
        for start in range(0, weight.shape[1], 4):
            lowest = scores[:, start : start + 4].topk(2, dim=1, largest=False).indices
            keep.scatter_(1, start + lowest, False)
    else:
        order = scores.sort(dim=1, stable=True).indices
        keep.scatter_(1, order[:, : int(weight.shape[1] * float(scheme))], False)
    return weight * keep, keep


def reference_sparsegpt(weight: Tensor, inputs: Tensor, scheme: str, n_sequences: int) -> tuple[Tensor, Tensor]:
    hessian = 2 / n_sequences * inputs.T @ inputs
    dead = hessian.diagonal() == 0
    hessian[dead, dead] = 1
    weight = weight.clone()
    weight[:, dead] = 0
    n_columns = weight.shape[1]
    hessian += 0.01 * hessian.diagonal().mean() * torch.eye(n_columns)
    inverse = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(hessian)), upper=True)
    keep = torch.ones_like(weight, dtype=torch.bool)
    for start in range(0, n_columns, 128):
        stop = min(start + 128, n_columns)
        block, errors = weight[:, start:stop].clone(), torch.zeros(len(weight), stop - start)
        inner = inverse[start:stop, start:stop]
        if scheme != "2of4":
            scores = block.square() / inner.diagonal().square()
            threshold = scores.flatten().sort().values[int(scores.numel() * float(scheme))]
            keep[:, start:stop] = scores > threshold
        for j in range(stop - start):
            if scheme == "2of4" and j % 4 == 0:
                scores = block[:, j : j + 4].square() / inner.diagonal()[j : j + 4].square()
                keep[:, start:stop].scatter_(1, j + scores.topk(2, dim=1, largest=False).indices, False)
            column = block[:, j].clone()
            pruned = column * keep[:, start + j]
            errors[:, j] = (column - pruned) / inner[j, j]
            block[:, j:] -= errors[:, j : j + 1] @ inner[j : j + 1, j:]
            weight[:, start + j] = pruned
        weight[:, stop:] -= errors @ inverse[start:stop, stop:]
    return weight, keep


def reference_loop(
    model: PreTrainedModel, tokens: Tensor, method: str, scheme: str, skip: tuple[int, ...] = ()
) -> dict[str, tuple[Tensor, Tensor]]:
    """Compress `model` in place, layer by layer, with transformers' own whole forward; weights and masks by name."""
    results: dict[str, tuple[Tensor, Tensor]] = {}
    layers = cast(nn.ModuleList, model.base_model.layers)
    for index, layer in enumerate(layers):
        if index in skip:
            continue
        inputs: dict[str, list[Tensor]] = {}
        linears = {name: module for name, module in layer.named_modules() if isinstance(module, nn.Linear)}
        hooks = [
            module.register_forward_hook(
                lambda _, args, __, name=name, inputs=inputs: inputs.setdefault(name, []).append(
                    args[0].flatten(0, 1).float()
                )
            )
            for name, module in linears.items()
        ]
        with torch.inference_mode():
            for sequence in tokens:
                model(sequence[None], use_cache=False)
        for hook in hooks:
            hook.remove()
        for name, module in linears.items():
            x = torch.cat(inputs[name])
            weight = module.weight.detach().float()
            if method == "wanda":
                after, keep = reference_wanda(weight, x, scheme)
            else:
                after, keep = reference_sparsegpt(weight, x, scheme, len(tokens))
            module.weight.data = after.to(module.weight.dtype)
            results[f"model.layers.{index}.{name}"] = (module.weight.data, keep)
    return results


@pytest.mark.parametrize("architecture", ["llama", "cohere"])
@pytest.mark.parametrize("method", ["wanda", "sparsegpt"])
@pytest.mark.parametrize("scheme", ["0.20", "0.50", "0.80", "2of4"])
def test_masks_and_weights_equal_the_published_loops(
    architecture: str, method: str, scheme: str, tmp_path: Path
) -> None:
    """SGPT-1..3, WANDA-1..2, through three layers: each sees inputs that the compressed layers below produced."""
    model = random_model(architecture)
    folder = save_checkpoint(model, tmp_path / "model", shards=2)
    dense = {name: value.clone() for name, value in model.state_dict().items()}
    tokens = random_tokens(16, 24)
    cell = run_engine(folder, tokens, method, scheme, tmp_path / "cell.safetensors")
    expected = reference_loop(model, tokens, method, scheme)
    assert set(cell.columns) == set(expected) and len(expected) == 21
    for name, (weight, keep) in expected.items():
        kept = kept_of(cell, name)
        assert torch.equal(kept.keep, keep), name
        torch.testing.assert_close(kept.dense(dense[f"{name}.weight"]), weight, rtol=1e-4, atol=2e-5)


def agreement(cell: CellReader, other: CellReader | dict[str, tuple[Tensor, Tensor]]) -> float:
    """Share of weights that two sets of masks treat alike."""
    equal = total = 0
    for name in cell.columns:
        keep = kept_of(other, name).keep if isinstance(other, CellReader) else other[name][1]
        equal, total = equal + int((kept_of(cell, name).keep == keep).sum()), total + keep.numel()
    return equal / total


@pytest.mark.parametrize("architecture", ["llama", "cohere"])
@pytest.mark.parametrize("scheme", ["0.50", "2of4"])
@pytest.mark.parametrize(("method", "least"), [("wanda", 1.0), ("sparsegpt", 0.999)])
def test_bfloat16_masks_are_the_reference_codes_and_close_to_those_in_float32(
    method: str, least: float, scheme: str, architecture: str, tmp_path: Path
) -> None:
    """WANDA-1, SGPT-1: the same weights in float32 differ by what rounding does to activations, more in every layer."""
    model = random_model(architecture, dtype=torch.bfloat16)
    folder = save_checkpoint(model, tmp_path / "bfloat16")
    wide = random_model(architecture)
    wide.load_state_dict({name: value.float() for name, value in model.state_dict().items()})
    tokens = random_tokens(16, 24)
    cell = run_engine(folder, tokens, method, scheme, tmp_path / "cell", batch=1)
    in_float32 = run_engine(save_checkpoint(wide, tmp_path / "float32"), tokens, method, scheme, tmp_path / "wide")
    model = type(model).from_pretrained(folder, dtype=torch.bfloat16, attn_implementation="sdpa")
    assert agreement(cell, reference_loop(model, tokens, method, scheme)) >= least
    assert 0.98 < agreement(cell, in_float32) < 1


def test_dense_ends_leaves_first_and_last_layer_alone(tmp_path: Path) -> None:
    model = random_model("llama")
    folder = save_checkpoint(model, tmp_path / "model")
    tokens = random_tokens(16, 24)
    cell = run_engine(folder, tokens, "sparsegpt", "0.50-dense-ends", tmp_path / "cell.safetensors")
    expected = reference_loop(model, tokens, "sparsegpt", "0.50", skip=(0, 2))
    assert set(cell.columns) == set(expected)
    for name, (_, keep) in expected.items():
        kept = kept_of(cell, name)
        assert torch.equal(kept.keep, keep)


@pytest.mark.parametrize(
    ("method", "scheme", "statistics", "propagations"),
    [("wanda", "0.50", 3, 2), ("wanda", "0.50-dense-ends", 1, 1), ("magnitude", "0.50", 0, 0)],
)
def test_passes_whose_results_nobody_reads_are_not_made(
    method: str, scheme: str, statistics: int, propagations: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three layers the last hands nothing on; with dense ends only the one in the middle needs statistics."""
    made = {"collect": 0, "propagate": 0}
    for name in list(made):
        original = getattr(compression, name)

        def counted(*arguments: Any, name: str = name, original: Any = original) -> Any:
            made[name] += 1
            return original(*arguments)

        monkeypatch.setattr(compression, name, counted)
    if not statistics:
        monkeypatch.setattr(Decoder, "embed", None)
    folder = save_checkpoint(random_model("llama"), tmp_path / "model")
    run_engine(folder, random_tokens(4, 8), method, scheme, tmp_path / "cell.safetensors")
    assert made == {"collect": statistics, "propagate": propagations}


def test_batch_size_and_sharding_change_nothing_but_rounding(tmp_path: Path) -> None:
    folder = save_checkpoint(random_model("llama"), tmp_path / "a")
    sharded = save_checkpoint(random_model("llama"), tmp_path / "b", shards=5)
    tokens = random_tokens(16, 24)
    one = run_engine(folder, tokens, "wanda", "0.50", tmp_path / "one.safetensors", batch=1)
    many = run_engine(sharded, tokens, "wanda", "0.50", tmp_path / "many.safetensors", batch=16)
    for name in one.columns:
        ours, theirs = kept_of(one, name), kept_of(many, name)
        assert torch.equal(ours.keep, theirs.keep)


def test_a_killed_job_goes_on_after_its_last_finished_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_checkpoint(random_model("llama"), tmp_path / "model")
    tokens = random_tokens(16, 24)
    whole = tmp_path / "whole.safetensors"
    run_engine(folder, tokens, "sparsegpt", "0.50", whole)

    compressed: list[str] = []
    original = sparsegpt.compress

    def dies_in_the_third_layer(job: Job, weights: Any, gram: Any, where: str) -> Any:
        if where.startswith("model.layers.2"):
            raise KeyboardInterrupt
        compressed.append(where)
        return original(job, weights, gram, where)

    resumed = tmp_path / "resumed.safetensors"
    monkeypatch.setattr(sparsegpt, "compress", dies_in_the_third_layer)
    with pytest.raises(KeyboardInterrupt):
        run_engine(folder, tokens, "sparsegpt", "0.50", resumed)
    assert not resumed.exists() and len(list(resumed.with_suffix(".layers").iterdir())) == 2

    def counted(job: Job, weights: Any, gram: Any, where: str) -> Any:
        compressed.append(where)
        return original(job, weights, gram, where)

    compressed.clear()
    monkeypatch.setattr(sparsegpt, "compress", counted)
    run_engine(folder, tokens, "sparsegpt", "0.50", resumed)
    assert all(where.startswith("model.layers.2") for where in compressed) and compressed
    assert resumed.read_bytes() == whole.read_bytes()
    assert not resumed.with_suffix(".layers").exists()


def test_layers_of_another_job_are_not_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_checkpoint(random_model("llama"), tmp_path / "model")
    tokens = random_tokens(16, 24)
    out = tmp_path / "cell.safetensors"
    original = wanda.compress

    def dies(job: Job, weights: Any, squares: Any, where: str) -> Any:
        if where.startswith("model.layers.1"):
            raise KeyboardInterrupt
        return original(job, weights, squares, where)

    monkeypatch.setattr(wanda, "compress", dies)
    with pytest.raises(KeyboardInterrupt):
        run_engine(folder, tokens, "wanda", "0.50", out, metadata={"job": "one"})
    monkeypatch.undo()
    cell = run_engine(folder, tokens, "wanda", "0.20", out, metadata={"job": "two"})
    kept = kept_of(cell, "model.layers.0.mlp.up_proj")
    assert kept.keep.float().mean().item() == pytest.approx(26 / 32)


def test_applying_a_cell_gives_the_weights_that_the_job_left(tmp_path: Path) -> None:
    folder = save_checkpoint(random_model("llama", dtype=torch.bfloat16), tmp_path / "model")
    tokens = random_tokens(16, 24)
    cell = run_engine(folder, tokens, "sparsegpt", "0.50", tmp_path / "cell.safetensors")
    decoder = Decoder(Checkpoint(folder), CPU)
    for index, layer in decoder.walk():
        apply_cell(decoder, index, cell)
        for name, linear in linears_of(layer).items():
            kept = kept_of(cell, f"model.layers.{index}.{name}")
            assert kept.values is not None and linear.weight.dtype == torch.bfloat16
            assert torch.equal(linear.weight[kept.keep], kept.values) and not linear.weight[~kept.keep].any()


def test_a_gram_matrix_that_cannot_be_factored_names_layer_and_matrix(tmp_path: Path) -> None:
    """Of all that cannot it is the largest, which comes first."""
    folder = save_checkpoint(random_model("llama"), tmp_path / "model")
    with pytest.raises(UserError, match=r"model\.layers\.0\.mlp\.down_proj.*not positive definite.*raise `damping`"):
        run_engine(folder, random_tokens(4, 24), "sparsegpt", "0.50", tmp_path / "cell.safetensors", damping=-2.0)


def test_nm_schemes_that_do_not_fit_name_the_matrix(tmp_path: Path) -> None:
    folder = save_checkpoint(random_model("llama"), tmp_path / "model")
    with pytest.raises(UserError, match=r"model\.layers\.0\..*multiple of 5"):
        run_engine(folder, random_tokens(4, 24), "wanda", "2of5", tmp_path / "cell.safetensors")
