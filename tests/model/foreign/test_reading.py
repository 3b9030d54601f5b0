"""Each layout of other tools, read back to exactly the weights that were packed; what is not read is named."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.helpers.foreign import Codes, Tensors, bitmask, compressed_tensors, stream, whole_codes, write_folder

from polyprune.artifacts.weights import QuantisedWeight
from polyprune.errors import UserError
from polyprune.maths.grids import dequantise
from polyprune.model.foreign.reading import ForeignMatrices
from polyprune.model.foreign.tensors import ForeignTensors

NAME = "model.layers.0.mlp.down_proj"
GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 16}
AUTOROUND = {"quant_method": "auto-round", "bits": 4, "group_size": 16, "sym": False, "data_type": "int"}
AWQ = {"quant_method": "awq", "bits": 4, "group_size": 16, "zero_point": True, "version": "gemm"}


def read(folder: Path, tensors: Tensors, quantisation: dict[str, Any] | None) -> Any:
    named = {f"{NAME}.{part}": tensor for part, tensor in tensors.items()}
    return ForeignMatrices(ForeignTensors(write_folder(folder, named, quantisation), pickles=False)).read(NAME)


def drawn(bits: int, size: int | None, symmetric: bool, shuffled: bool = False) -> Codes:
    return Codes(24, 64, bits, size, symmetric, seed=bits, shuffled=shuffled)


ASYMMETRIC, SYMMETRIC = False, True
CASES: dict[str, tuple[Codes, Callable[[Codes], Tensors], dict[str, Any]]] = {
    "gptq": (drawn(4, 16, SYMMETRIC), lambda c: c.gptq(first=True), GPTQ),
    "gptq with zero points of 0": (drawn(4, 16, ASYMMETRIC), lambda c: c.gptq(first=True), GPTQ | {"sym": False}),
    "gptq act order": (
        drawn(4, 16, ASYMMETRIC, shuffled=True),
        lambda c: c.gptq(first=True),
        GPTQ | {"desc_act": True},
    ),
    "gptq 3 bit": (drawn(3, 16, ASYMMETRIC), lambda c: c.gptq(first=True), GPTQ | {"bits": 3}),
    "gptq 8 bit": (drawn(8, None, ASYMMETRIC), lambda c: c.gptq(first=True), GPTQ | {"bits": 8, "group_size": -1}),
    "gptq_v2": (drawn(4, 16, ASYMMETRIC), lambda c: c.gptq(first=False), GPTQ | {"checkpoint_format": "gptq_v2"}),
    "awq gemm": (drawn(4, 16, ASYMMETRIC), lambda c: c.awq(), AWQ),
    "awq gemv": (drawn(4, 16, ASYMMETRIC), lambda c: c.awq_gemv(), AWQ | {"version": "GEMV"}),
    "autoround as gptq": (
        drawn(4, 16, ASYMMETRIC),
        lambda c: c.gptq(first=True),
        AUTOROUND | {"packing_format": "auto_round:auto_gptq"},
    ),
    "autoround as gptq_v2": (
        drawn(4, 16, ASYMMETRIC),
        lambda c: c.gptq(first=False),
        AUTOROUND | {"packing_format": "auto_round:gptqmodel", "extra_config": {"lm_head": {"bits": 16}}},
    ),
    "autoround as awq": (
        drawn(4, 16, ASYMMETRIC),
        lambda c: c.awq(),
        AUTOROUND | {"packing_format": "auto_round:auto_awq"},
    ),
    "gptq, some modules left": (
        drawn(4, 16, SYMMETRIC),
        lambda c: c.gptq(first=True),
        GPTQ | {"dynamic": {"-:.*up_proj": {}}},
    ),
    "packed": (
        drawn(4, 16, SYMMETRIC),
        lambda c: c.packed(stream, asymmetric=False),
        compressed_tensors("pack-quantized", 4, 16),
    ),
    "packed, zero points": (
        drawn(4, 16, ASYMMETRIC),
        lambda c: c.packed(stream, asymmetric=True),
        compressed_tensors("pack-quantized", 4, 16),
    ),
    "packed, 3 bit": (
        drawn(3, 16, ASYMMETRIC),
        lambda c: c.packed(stream, asymmetric=True),
        compressed_tensors("pack-quantized", 3, 16),
    ),
    "packed, 3 bit, whole codes": (
        drawn(3, 16, ASYMMETRIC),
        lambda c: c.packed(whole_codes, asymmetric=True),
        compressed_tensors("pack-quantized", 3, 16),
    ),
    "packed, 8 bit, a scale a row": (
        drawn(8, None, SYMMETRIC),
        lambda c: c.packed(stream, asymmetric=False),
        compressed_tensors("pack-quantized", 8, None),
    ),
    "packed, act order": (
        drawn(4, 16, SYMMETRIC, shuffled=True),
        lambda c: c.packed(stream, asymmetric=False),
        compressed_tensors("pack-quantized", 4, 16, actorder="group"),
    ),
    "naive": (drawn(3, 16, ASYMMETRIC), lambda c: c.naive(), compressed_tensors("naive-quantized", 3, 16)),
    "int": (drawn(8, None, SYMMETRIC), lambda c: c.naive(), compressed_tensors("int-quantized", 8, None)),
    "frozen": (drawn(4, 16, ASYMMETRIC), lambda c: c.frozen(), compressed_tensors("dense", 4, 16)),
}


@pytest.mark.parametrize("case", CASES)
def test_codes_stand_for_what_was_packed(case: str, tmp_path: Path) -> None:
    codes, pack, quantisation = CASES[case]
    found = read(tmp_path, pack(codes), quantisation)
    assert isinstance(found, QuantisedWeight) and (found.bits, found.group_size) == (codes.bits, codes.size)
    assert found.grid.codes.tolist() == codes.codes and found.grid.zeros.tolist() == codes.zeros
    assert torch.equal(dequantise(found.grid), codes.weight)


@pytest.mark.parametrize("two_of_four", [False, True])
def test_masks_of_bits_are_scattered(two_of_four: bool, tmp_path: Path) -> None:
    weight = torch.randn(24, 64, generator=torch.Generator().manual_seed(0)).bfloat16()
    weight.view(24, 16, 4)[:, :, :2] = 0
    if not two_of_four:
        weight[3] = 0
        weight[5, :7] = 1
    kind = "sparse-24-bitmask" if two_of_four else "sparse-bitmask"
    about = {"quant_method": "compressed-tensors", "sparsity_config": {"format": kind}}
    assert torch.equal(read(tmp_path, bitmask(weight, two_of_four), about), weight)


def test_masks_of_codes_are_both(tmp_path: Path) -> None:
    codes = drawn(8, None, SYMMETRIC)
    plain = codes.naive()
    plain["weight"].view(24, 16, 4)[:, :, :2] = 0
    stored = bitmask(plain.pop("weight"), two_of_four=True) | plain
    about = compressed_tensors("int-quantized", 8, None) | {"sparsity_config": {"format": "sparse-24-bitmask"}}
    found = dequantise(read(tmp_path, stored, about).grid)
    assert not found.view(24, 16, 4)[:, :, :2].any()
    assert torch.equal(found.view(24, 16, 4)[:, :, 2:], codes.weight.view(24, 16, 4)[:, :, 2:])


def test_frozen_weights_off_their_grid_are_refused(tmp_path: Path) -> None:
    stored = drawn(4, 16, ASYMMETRIC).frozen()
    stored["weight"][2, 5] += 0.001
    with pytest.raises(UserError, match="do not lie on the grid of its scales"):
        read(tmp_path, stored, compressed_tensors("dense", 4, 16))


def test_a_config_beside_the_weights_says_how_they_are_packed(tmp_path: Path) -> None:
    """AutoGPTQ's: quantize_config.json, a name of its own, and a plain matrix among the packed ones."""
    codes = drawn(4, 16, SYMMETRIC)
    stored = {f"{NAME}.{part}": tensor for part, tensor in codes.gptq(first=True).items()}
    stored["lm_head.weight"] = torch.ones(3, 4)
    write_folder(tmp_path, stored)
    (tmp_path / "model.safetensors").rename(tmp_path / "gptq_model-4bit-16g.safetensors")
    (tmp_path / "quantize_config.json").write_text('{"bits": 4, "group_size": 16, "desc_act": false}')
    matrices = ForeignMatrices(ForeignTensors(tmp_path, pickles=False))
    found = matrices.read(NAME)
    assert isinstance(found, QuantisedWeight) and torch.equal(dequantise(found.grid), codes.weight)
    assert torch.equal(matrices.read("lm_head"), torch.ones(3, 4))  # type: ignore[arg-type]
    assert matrices.holds("lm_head") and matrices.holds(NAME) and not matrices.holds("model.layers.0.mlp.up_proj")


REFUSED: dict[str, dict[str, Any]] = {
    "quantised with bitsandbytes": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
    "GPTQ in the format marlin, ": GPTQ | {"is_marlin_format": True},
    "AutoRound's in the format auto_round:llm_compressor": AUTOROUND | {"packing_format": "auto_round:llm_compressor"},
    "numbers of type mx_fp": AUTOROUND | {"packing_format": "auto_round", "data_type": "mx_fp"},
    "several widths or groups (lm_head in extra_config)": AUTOROUND
    | {"packing_format": "auto_round", "extra_config": {"lm_head": {"bits": 8}}},
    "quantised with torchao": {"quant_method": "torchao"},
    "in the format float-quantized": compressed_tensors("float-quantized", 8, None, type="float"),
    "in the format nvfp4-pack-quantized": compressed_tensors("nvfp4-pack-quantized", 4, 16, type="float"),
    "in the format marlin-24": compressed_tensors("marlin-24", 4, 16),
    "quantised by block": compressed_tensors("int-quantized", 8, None, strategy="block"),
    "rotated weights": compressed_tensors("pack-quantized", 4, 16) | {"transform_config": {"config_groups": {}}},
    "sparse in the format sparse-48": {
        "quant_method": "compressed-tensors",
        "sparsity_config": {"format": "sparse-48"},
    },
    "GPTQ in the format gptq_p": GPTQ | {"checkpoint_format": "gptq_p"},
    "GPTQ in the format marlin": GPTQ | {"checkpoint_format": "marlin"},
    "several widths (dynamic)": GPTQ | {"dynamic": {"+:.*down.*": {"bits": 8}}},
    "codes of 16 bits": GPTQ | {"bits": 16},
    "AWQ of version gemv_fast": AWQ | {"version": "gemv_fast"},
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_is_not_read_is_named(said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        read(tmp_path, {"weight": torch.ones(2, 2)}, REFUSED[said])


@pytest.mark.parametrize(
    ("tool", "file", "said"),
    [
        (
            "mlx",
            "config.json",
            {about: {"group_size": 64, "bits": 4} for about in ("quantization", "quantization_config")},
        ),
        ("modelopt", "hf_quant_config.json", {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "FP8"}}),
    ],
)
def test_tools_that_do_not_say_a_method_are_named(tool: str, file: str, said: dict[str, Any], tmp_path: Path) -> None:
    """What MLX says, under both names, is what AutoGPTQ's files may say too."""
    write_folder(tmp_path, {f"{NAME}.weight": torch.ones(2, 2)})
    (tmp_path / file).write_text(json.dumps(said))
    with pytest.raises(UserError, match=f"is quantised with {tool}, which is not read"):
        ForeignMatrices(ForeignTensors(tmp_path, pickles=False))


def test_groups_of_several_widths_are_refused(tmp_path: Path) -> None:
    about = compressed_tensors("pack-quantized", 4, 16)
    about["config_groups"]["group_1"] = {"weights": {"num_bits": 8, "group_size": 16, "type": "int"}}
    with pytest.raises(UserError, match="several widths or groups"):
        read(tmp_path, {"weight": torch.ones(2, 2)}, about)


def test_activations_that_the_tool_quantises_are_told(tmp_path: Path) -> None:
    about = compressed_tensors("int-quantized", 8, None)
    about["config_groups"]["group_0"]["input_activations"] = {"num_bits": 8}
    folder = write_folder(tmp_path, {f"{NAME}.weight": torch.ones(2, 2)}, about)
    layout = ForeignMatrices(ForeignTensors(folder, pickles=False)).layout
    assert layout.remarks == ["its tool also quantises activations, which the cell does not"]


def test_pickles_are_read_where_they_are_asked_for_and_hold_weights_alone(tmp_path: Path) -> None:
    weight = torch.arange(6.0).view(2, 3)
    torch.save({f"{NAME}.weight": weight}, tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match="pickled weights only; say `pickles: true`"):
        ForeignTensors(tmp_path, pickles=False)
    found = ForeignMatrices(ForeignTensors(tmp_path, pickles=True)).read(NAME)
    assert torch.equal(found, weight)  # type: ignore[arg-type]
    torch.save({f"{NAME}.weight": weight, "code": Path}, tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match="holds more than weights"):
        ForeignMatrices(ForeignTensors(tmp_path, pickles=True)).read(NAME)
