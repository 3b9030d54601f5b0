"""Every method through the whole engine, against a plain loop. For Wanda and SparseGPT see test_compression."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.helpers.reference import compress_plainly, inputs_of, linears
from tests.helpers.tiny import random_model, random_tokens, save_checkpoint
from torch import Tensor
from transformers import PreTrainedModel

from polyprune.artifacts.cells import CellReader, join_layers
from polyprune.artifacts.outliers import save_outliers
from polyprune.artifacts.weights import QuantisedWeight, SparseWeight
from polyprune.errors import UserError
from polyprune.grammar.schemes import parse_scheme
from polyprune.maths.alps import alps as alps_plainly
from polyprune.maths.dsnot import dsnot_keep
from polyprune.methods import alps, dsnot, gptq, random, ria, wanda
from polyprune.methods.job import Job
from polyprune.model.allocation import owl_sparsities
from polyprune.model.calibration import Calibration
from polyprune.model.checkpoint import Checkpoint
from polyprune.model.compression import apply_cell, compress
from polyprune.model.decoder import Decoder, linears_of
from polyprune.model.outliers import outlier_shares

CPU = torch.device("cpu")
METHODS: dict[str, Any] = {"alps": alps, "dsnot": dsnot, "gptq": gptq, "random": random, "ria": ria, "wanda": wanda}
SETTINGS: dict[str, Any] = {
    "damping": 0.01,
    "ria": {"exponent": 0.5, "per_row": False},
    "dsnot": {"threshold": 0.1, "max_cycles": 5, "same_sign": False},
    "alps": {"max_iterations": 60, "refit_iterations": 10},
}
GPTQ = {"damping": 0.1, "symmetric": True, "act_order": False, "static_groups": False, "true_sequential": True}
STEPS = {
    "llama": [
        ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
        ["self_attn.o_proj"],
        ["mlp.gate_proj", "mlp.up_proj"],
        ["mlp.down_proj"],
    ]
}
STEPS["cohere"] = STEPS["llama"]
WIDER: dict[str, Any] = {"hidden_size": 64, "intermediate_size": 128}


def run_engine(
    folder: Path, tokens: Tensor, method: str, scheme: str, out: Path, offload: bool = False, **settings: Any
) -> CellReader:
    calibration = Calibration(Decoder(Checkpoint(folder), CPU), tokens, 3, offload, {})
    job = Job(parse_scheme(scheme), {**SETTINGS, **settings}, len(tokens), seed=3)
    about = {"method": method, "scheme": scheme}
    compress(calibration, METHODS[method], job, out.with_suffix(".layers"), about)
    join_layers(out.with_suffix(".layers"), calibration.decoder.n_layers, out, about)
    return CellReader(out)


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


# GPTQ


def plain_gptq(weight: Tensor, x: Tensor, bits: int, group: int, settings: dict[str, Any]) -> Tensor:
    """The published loop: a column at a time, every update applied to all later columns, grids from updated weights."""
    hessian = 2 * x.T @ x
    dead = hessian.diagonal() == 0
    hessian[dead, dead] = 1
    weight[:, dead] = 0
    order = torch.arange(len(hessian))
    if settings["act_order"]:
        order = hessian.diagonal().argsort(descending=True)
    weight, hessian = weight[:, order], hessian[order][:, order]
    original = weight.clone()
    hessian += settings["damping"] * hessian.diagonal().mean() * torch.eye(len(hessian), dtype=hessian.dtype)
    inverse = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(hessian)), upper=True)
    top, after, members = 2**bits - 1, torch.zeros_like(weight), original
    for j in range(weight.shape[1]):
        if settings["static_groups"]:
            members = original[:, order // group == order[j] // group]
        elif j % group == 0:
            members = weight[:, j : j + group].clone()
        low, high = members.amin(1).clamp(max=0), members.amax(1).clamp(min=0)
        if settings["symmetric"]:
            high = torch.maximum(-low, high)
            low = -high
        scale = (high - low) / top
        zero = torch.full_like(scale, 2 ** (bits - 1)) if settings["symmetric"] else (-low / scale).round()
        code = ((weight[:, j] / scale).round() + zero).clamp(0, top)
        after[:, j] = scale * (code - zero)
        weight[:, j + 1 :] -= ((weight[:, j] - after[:, j]) / inverse[j, j])[:, None] * inverse[j, j + 1 :]
    return after[:, order.argsort()]


@pytest.mark.parametrize("architecture", ["llama", "cohere"])
@pytest.mark.parametrize(
    ("scheme", "changes"),
    [
        ("w4g128", {"symmetric": False}),
        ("w8g32", {}),
        ("w4g32", {"symmetric": False, "act_order": True, "true_sequential": False}),
        ("w4g32", {"symmetric": False, "act_order": True, "static_groups": True, "damping": 0.01}),
    ],
    ids=["4bit", "8bit-symmetric", "act-order", "static"],
)
def test_gptq_equals_the_published_loop_in_float64(
    architecture: str, scheme: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    """GPTQ-1, GPTQ-2 through three layers: levels agree to 99 %, the error to 0.1 %."""
    model = random_model(architecture, **WIDER)
    folder = save_checkpoint(model, tmp_path / "model")
    dense = {name: value.clone().double() for name, value in model.state_dict().items()}
    tokens, settings = random_tokens(32, 24), GPTQ | changes
    cell = run_engine(folder, tokens, "gptq", scheme, tmp_path / "cell.safetensors", gptq=settings)
    bits, group = parse_scheme(scheme).bits or 0, parse_scheme(scheme).group_size or 0
    equal = total = 0
    errors: list[tuple[float, float]] = []

    def quantise(name: str, weight: Tensor, x: Tensor) -> Tensor:
        nonlocal equal, total
        after = plain_gptq(weight, x, bits, group, settings)
        ours = cell.weight(name)
        assert isinstance(ours, QuantisedWeight)
        before = dense[f"{name}.weight"]
        values = ours.dense(before)
        step = ours.grid.scales[:, ours.grid.group_of_column.long()]
        equal, total = equal + int(((values - after).abs() < step / 2).sum()), total + after.numel()
        errors.append((((values - before) @ x.T).norm().item(), ((after - before) @ x.T).norm().item()))
        return after

    steps = STEPS[architecture] if settings["true_sequential"] else None
    compress_plainly(model.double(), tokens, quantise, steps)
    assert len(errors) == 21
    assert equal / total >= 0.99
    ours, theirs = (sum(error[side] ** 2 for error in errors) ** 0.5 for side in (0, 1))
    assert ours == pytest.approx(theirs, rel=1e-3)


def test_true_sequential_sees_the_quantised_matrices_before_it(tmp_path: Path) -> None:
    """In Llama all but q, k, v change; without it, none."""
    folder = save_checkpoint(random_model("llama", num_hidden_layers=1), tmp_path / "model")
    tokens = random_tokens(16, 24)
    cells = {
        choice: run_engine(
            folder, tokens, "gptq", "w4g32", tmp_path / f"{choice}", gptq=GPTQ | {"true_sequential": choice}
        )
        for choice in (True, False)
    }
    for name in cells[True].columns:
        one, other = (cell.weight(name) for cell in cells.values())
        assert isinstance(one, QuantisedWeight) and isinstance(other, QuantisedWeight)
        assert torch.equal(one.grid.codes, other.grid.codes) == name.endswith(("q_proj", "k_proj", "v_proj")), name


def test_a_quantised_cell_is_loaded_as_the_job_left_it(tmp_path: Path) -> None:
    """bfloat16: the second pass of the job ran on exactly the weights that a reader gets."""
    folder = save_checkpoint(random_model("cohere", dtype=torch.bfloat16), tmp_path / "model")
    settings = GPTQ | {"act_order": True}
    cell = run_engine(folder, random_tokens(16, 24), "gptq", "w4g16", tmp_path / "cell", gptq=settings)
    assert cell.metadata["quantisation"] == {"bits": 4, "group_size": 16}
    with pytest.raises(UserError, match="cell is quantised: it has codes, no masks"):
        cell.packed_keep("model.layers.0.mlp.up_proj")
    with pytest.raises(UserError, match="cell is quantised: it has codes, no masks"):
        cell.read(next(iter(cell.columns)))
    for index, layer in (decoder := Decoder(Checkpoint(folder), CPU)).walk():
        apply_cell(layer, f"{decoder.prefix}.{index}.", cell)
        for name, linear in linears_of(layer).items():
            weight = cell.weight(f"{decoder.prefix}.{index}.{name}")
            assert isinstance(weight, QuantisedWeight)
            levels = weight.grid.codes.float() - weight.grid.zeros.float()[:, weight.grid.group_of_column.long()]
            values = (levels * weight.grid.scales[:, weight.grid.group_of_column.long()]).bfloat16()
            assert torch.equal(linear.weight.data, values)


# Methods that leave the kept weights alone, ALPS, and OWL


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
        kept = cell.read(name)
        assert kept is not None and kept.values is None and torch.equal(kept.keep, keep), name


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
        kept = cell.read(name)
        assert kept is not None and kept.values is None
        equal, total = equal + int((kept.keep == keep).sum()), total + keep.numel()
    assert swapped > 0.02 * total
    assert equal / total > 0.999


@pytest.mark.parametrize("architecture", ["llama", "cohere"])
@pytest.mark.parametrize("scheme", ["0.70", "2of4"])
def test_alps_gets_the_gram_matrix_of_each_input(architecture: str, scheme: str, tmp_path: Path) -> None:
    """ALPS-1 to ALPS-3, with as many iterations as it takes: on the way rounding decides which support comes first."""
    model = random_model(architecture)
    folder = save_checkpoint(model, tmp_path / "model")
    dense = {name: value.clone() for name, value in model.state_dict().items()}
    tokens = random_tokens(16, 24)
    cell = run_engine(folder, tokens, "alps", scheme, tmp_path / "cell")
    equal = total = 0

    def prune(name: str, weight: Tensor, x: Tensor) -> Tensor:
        nonlocal equal, total
        expected, keep = alps_plainly(weight, x.T @ x, 0.01, parse_scheme(scheme), name, 60, 10)
        kept = cell.read(name)
        assert kept is not None and kept.values is not None
        equal, total = equal + int((kept.keep == keep).sum()), total + keep.numel()
        ours = kept.dense(dense[f"{name}.weight"])
        assert ((ours - weight) @ x.T).norm() == pytest.approx(((expected - weight) @ x.T).norm().item(), rel=0.01)
        return expected

    compress_plainly(model, tokens, prune)
    assert equal / total > 0.99


def test_random_masks_differ_between_matrices_seeds_and_keep_the_share(tmp_path: Path) -> None:
    """RAND-1."""
    folder = save_checkpoint(random_model("llama"), tmp_path / "model")
    cell = run_engine(folder, random_tokens(2, 8), "random", "0.25", tmp_path / "cell")
    masks = {name: weight for name in cell.columns if (weight := cell.read(name)) is not None}
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
    found = owl_sparsities(tmp_path / "outliers.json", {}, scheme, 0.08)

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
        kept = cell.read(name)
        assert kept is not None and torch.equal(kept.keep, keep), name


def test_a_spread_that_does_not_fit_the_sparsity_is_refused(tmp_path: Path) -> None:
    save_outliers(tmp_path / "outliers.json", [Fraction(1, 100), Fraction(2, 100)], {})
    with pytest.raises(UserError, match=r"OWL gives layer 0 the sparsity 1\..*compression\.owl\.spread"):
        owl_sparsities(tmp_path / "outliers.json", {}, parse_scheme("0.95-owl"), 0.1)


def test_offloaded_hidden_states_give_the_same_bytes(tmp_path: Path) -> None:
    folder = save_checkpoint(random_model("llama"), tmp_path / "model")
    tokens = random_tokens(8, 24)
    for offload in (True, False):
        run_engine(folder, tokens, "wanda", "0.50", tmp_path / str(offload), offload)
    assert (tmp_path / "True").read_bytes() == (tmp_path / "False").read_bytes()
