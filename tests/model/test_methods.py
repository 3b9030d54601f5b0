"""Methods that prune, through the whole engine, against a plain loop.

For Wanda and SparseGPT see test_compression, for GPTQ test_quantisation.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.helpers.cells import kept_of
from tests.helpers.engine import CPU, METHODS, run_engine
from tests.helpers.reference import compress_plainly, inputs_of, linears
from tests.helpers.tiny import random_model, random_tokens, save_checkpoint
from torch import Tensor
from transformers import PreTrainedModel

from polyprune.artifacts.cells import CellReader, join_layers
from polyprune.artifacts.outliers import save_outliers
from polyprune.artifacts.weights import SparseWeight
from polyprune.errors import UserError
from polyprune.grammar.schemes import parse_scheme
from polyprune.maths.alps import alps as alps_plainly
from polyprune.maths.dsnot import dsnot_keep
from polyprune.maths.pruned_weight import PrunedWeight
from polyprune.methods import alps, random
from polyprune.methods.job import Job
from polyprune.model.allocation import allocated
from polyprune.model.calibration import Calibration
from polyprune.model.checkpoint import Checkpoint
from polyprune.model.compression import compress
from polyprune.model.decoder import Decoder
from polyprune.model.outliers import outlier_shares


def plain_masks(model: PreTrainedModel, tokens: Tensor, keep_of: Any) -> dict[str, Tensor]:
    """Masks by the plain loop; `keep_of(name, weight, inputs)` is the method."""
    masks: dict[str, Tensor] = {}

    def prune(name: str, weight: Tensor, x: Tensor) -> Tensor:
        masks[name] = keep_of(name, weight, x)
        return weight * masks[name]

    compress_plainly(model, tokens, prune)
    return masks


def plain_wanda(weight: Tensor, x: Tensor, n_removed: int) -> Tensor:
    order = (weight.abs() * x.square().sum(0).sqrt()).sort(dim=1, stable=True).indices
    return torch.ones_like(weight, dtype=torch.bool).scatter_(1, order[:, :n_removed], False)


@pytest.mark.parametrize("architecture", ["llama", "cohere"])
@pytest.mark.parametrize("scheme", ["0.50", "2of4"])
def test_ria_equals_the_plain_loop(architecture: str, scheme: str, tmp_path: Path) -> None:
    """RIA-1, RIA-2."""
    model = random_model(architecture)
    folder = save_checkpoint(model, tmp_path / "model")
    tokens = random_tokens(8, 24)
    cell = run_engine(folder, tokens, "ria", scheme, tmp_path / "cell")

    def keep_of(_: str, weight: Tensor, x: Tensor) -> Tensor:
        size = weight.abs()
        scores = (size / size.sum(0) + size / size.sum(1, keepdim=True)) * x.square().sum(0).sqrt().sqrt()
        if scheme == "0.50":
            return scores > scores.flatten().sort().values[scores.numel() // 2]
        lowest = scores.view(len(scores), -1, 4).topk(2, dim=2, largest=False).indices
        return torch.ones(len(scores), scores.shape[1] // 4, 4, dtype=torch.bool).scatter_(2, lowest, False).flatten(1)

    for name, keep in plain_masks(model, tokens, keep_of).items():
        kept = kept_of(cell, name)
        assert kept.values is None and torch.equal(kept.keep, keep), name


@pytest.mark.parametrize("architecture", ["llama", "cohere"])
def test_dsnot_refines_wandas_mask_by_sums_and_variances(architecture: str, tmp_path: Path) -> None:
    """DSNOT-1 to DSNOT-4 with STAT-3."""
    model = random_model(architecture)
    folder = save_checkpoint(model, tmp_path / "model")
    tokens = random_tokens(8, 24)
    cell = run_engine(folder, tokens, "dsnot", "0.50", tmp_path / "cell")
    swapped = 0

    def keep_of(_: str, weight: Tensor, x: Tensor) -> Tensor:
        nonlocal swapped
        keep = plain_wanda(weight, x, weight.shape[1] // 2)
        variance = x.double().var(dim=0, unbiased=False).float()
        refined = dsnot_keep(weight, keep, x.sum(0) / 8, variance, x.square().sum(0), 0.1, 5, False)
        swapped += int((refined != keep).sum())
        return refined

    equal = total = 0
    for name, keep in plain_masks(model, tokens, keep_of).items():
        kept = kept_of(cell, name)
        assert kept.values is None
        equal, total = equal + int((kept.keep == keep).sum()), total + keep.numel()
    assert swapped > 0.02 * total
    assert equal / total > 0.999


@pytest.mark.parametrize("architecture", ["llama", "cohere"])
@pytest.mark.parametrize("scheme", ["0.70", "2of4"])
def test_alps_gets_the_gram_matrix_of_each_input(
    architecture: str, scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ALPS-1 to ALPS-3 of what the compressed layers below hand on, and the cell holds exactly what comes out.

    The plain loop goes on with the cell's weights: the support is found by steps, so that of a Gram matrix that differs
    in rounding it may be another, after which every layer above would see other inputs.
    """
    model = random_model(architecture)
    folder = save_checkpoint(model, tmp_path / "model")
    dense = {name: value.clone() for name, value in model.state_dict().items()}
    tokens = random_tokens(16, 24)
    handed: dict[str, Tensor] = {}

    def alps_of_engine(weight: Tensor, gram: Tensor, *others: Any, **settings: Any) -> PrunedWeight:
        (name,) = (name for name, value in dense.items() if torch.equal(value, weight))
        handed[name] = gram.clone()
        return alps_plainly(weight, gram, *others, **settings)

    monkeypatch.setattr(alps, "alps", alps_of_engine)
    cell = run_engine(folder, tokens, "alps", scheme, tmp_path / "cell")

    def prune(name: str, weight: Tensor, x: Tensor) -> Tensor:
        gram, kept = handed.pop(f"{name}.weight"), kept_of(cell, name)
        assert (gram - x.T @ x).norm() < 1e-5 * gram.norm(), name
        expected, keep = alps_plainly(weight, gram, 0.01, parse_scheme(scheme), name, 60, 10)
        ours = kept.dense(weight)
        assert torch.equal(kept.keep, keep) and torch.equal(ours, expected), name
        return ours

    compress_plainly(model, tokens, prune)
    assert not handed


def test_random_masks_differ_between_matrices_seeds_and_keep_the_share(tmp_path: Path) -> None:
    """RAND-1."""
    folder = save_checkpoint(random_model("llama"), tmp_path / "model")
    cell = run_engine(folder, random_tokens(2, 8), "random", "0.25", tmp_path / "cell")
    masks = {name: kept_of(cell, name) for name in cell.columns}
    assert all((weight.keep.sum(1) == weight.keep.shape[1] * 3 // 4).all() for weight in masks.values())
    shapes = [weight.keep for weight in masks.values() if weight.keep.shape == (32, 32)]
    assert len(shapes) == 6 and len({mask.numpy().tobytes() for mask in shapes}) == 6
    (one,) = random.compress(Job(parse_scheme("0.25"), {}, 1, seed=1), [torch.ones(4, 64)], None, "x")
    (same,) = random.compress(Job(parse_scheme("0.25"), {}, 9, seed=1), [torch.ones(4, 64)], None, "x")
    (other,) = random.compress(Job(parse_scheme("0.25"), {}, 1, seed=2), [torch.ones(4, 64)], None, "x")
    assert isinstance(one, SparseWeight) and isinstance(same, SparseWeight) and isinstance(other, SparseWeight)
    assert torch.equal(one.keep, same.keep) and not torch.equal(one.keep, other.keep)


@pytest.mark.parametrize("architecture", ["llama", "cohere"])
def test_owl_takes_outliers_from_the_dense_model_and_gives_each_layer_its_sparsity(
    architecture: str, tmp_path: Path
) -> None:
    """OWL-1, OWL-2, then Wanda with these sparsities."""
    model = random_model(architecture)
    folder = save_checkpoint(model, tmp_path / "model")
    tokens, scheme = random_tokens(8, 24), parse_scheme("0.60-owl")
    calibration = Calibration(Decoder(Checkpoint(folder), CPU), tokens, 3, False, {})
    measured = outlier_shares(calibration, 2.0)
    save_outliers(tmp_path / "outliers.json", measured, {})
    found = allocated(tmp_path / "outliers.json", {}, scheme, 0.08)

    shares = []
    for layer in model.base_model.layers:  # type: ignore[union-attr]
        inputs = inputs_of(model, layer, list(linears(layer)), tokens)
        scores = torch.cat(
            [(linears(layer)[name].weight.abs() * x.square().sum(0).sqrt()).flatten() for name, x in inputs.items()]
        )
        shares.append(((scores > 2 * scores.mean()).sum() / scores.numel()).item())
    assert [float(share) for share in measured] == pytest.approx(shares, abs=1e-6)
    scaled = [0.16 * (share - min(shares)) / (max(shares) - min(shares)) for share in shares]
    expected = [0.6 + sum(scaled) / 3 - value for value in scaled]
    assert [float(value) for value in found] == pytest.approx(expected, abs=1e-6)
    assert sum(found) / 3 == Fraction(6, 10) and max(found) - min(found) == Fraction(16, 100)

    job = Job(scheme, {}, len(tokens), layer_sparsities=found)
    about = {"method": "wanda", "scheme": "0.60-owl", "layer_sparsities": [float(value) for value in found]}
    compress(calibration, METHODS["wanda"], job, tmp_path / "parts", about)
    join_layers(tmp_path / "parts", 3, tmp_path / "cell", about)
    cell = CellReader(tmp_path / "cell")

    def keep_of(name: str, weight: Tensor, x: Tensor) -> Tensor:
        return plain_wanda(weight, x, int(weight.shape[1] * found[int(name.split(".")[2])]))

    for name, keep in plain_masks(model, tokens, keep_of).items():
        kept = kept_of(cell, name)
        assert torch.equal(kept.keep, keep), name


def test_a_spread_that_does_not_fit_the_sparsity_is_refused(tmp_path: Path) -> None:
    save_outliers(tmp_path / "outliers.json", [Fraction(1, 100), Fraction(2, 100)], {})
    with pytest.raises(UserError, match=r"layer 0 would get the sparsity 1\..*compression\.owl\.spread"):
        allocated(tmp_path / "outliers.json", {}, parse_scheme("0.95-owl"), 0.1)


def test_offloaded_hidden_states_give_the_same_bytes(tmp_path: Path) -> None:
    folder = save_checkpoint(random_model("llama"), tmp_path / "model")
    tokens = random_tokens(8, 24)
    for offload in (True, False):
        run_engine(folder, tokens, "wanda", "0.50", tmp_path / str(offload), offload=offload)
    assert (tmp_path / "True").read_bytes() == (tmp_path / "False").read_bytes()
