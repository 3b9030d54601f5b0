"""GPTQ through the whole engine, against a plain loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.helpers.engine import CPU, linears_of, run_engine
from tests.helpers.reference import compress_plainly
from tests.helpers.tiny import random_model, random_tokens, save_checkpoint
from torch import Tensor

from polyprune.artifacts.weights import QuantisedWeight
from polyprune.errors import UserError
from polyprune.grammar.schemes import parse_scheme
from polyprune.model.checkpoint import Checkpoint
from polyprune.model.compression import apply_cell
from polyprune.model.decoder import Decoder

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
        cell.packed_keep(next(iter(cell.columns)))
    for index, layer in (decoder := Decoder(Checkpoint(folder), CPU)).walk():
        apply_cell(decoder, index, cell)
        for name, linear in linears_of(layer).items():
            weight = cell.weight(f"{decoder.prefix}.{index}.{name}")
            assert isinstance(weight, QuantisedWeight)
            levels = weight.grid.codes.float() - weight.grid.zeros.float()[:, weight.grid.group_of_column.long()]
            values = (levels * weight.grid.scales[:, weight.grid.group_of_column.long()]).bfloat16()
            assert torch.equal(linear.weight.data, values)
