"""A quantised cell in the layouts that other programs read: compressed-tensors, GPTQ, AWQ.

    compressed-tensors   weight_packed, weight_scale, weight_shape and, of codes that are not symmetric,
                         weight_zero_point; columns of a group neighbours
    gptq                 qweight, qzeros (one less), scales, g_idx
    awq                  qweight, qzeros, scales, of version gemm: codes of 4 bits, columns of a group neighbours

`model/foreign` says the same of reading. Codes and zero points are the cell's; scales are in the dtype of the model, or
in float16 where GPTQ's and AWQ's readers have no other. All other tensors are the dense model's or the cell's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from polyprune.artifacts.cells import CellReader
from polyprune.artifacts.weights import QuantisedWeight
from polyprune.errors import UserError
from polyprune.log import Progress
from polyprune.maths.grids import Quantised
from polyprune.maths.packed_words import pack_awq, pack_one_less, pack_stream
from polyprune.model.checkpoint import Checkpoint
from polyprune.model.folding import Folded
from polyprune.model.gates import is_gate
from polyprune.model.source import INDEX

_WEIGHT = ".weight"
_ACT_ORDER, _SYMMETRIC = "act_order", "symmetric"
Traits = dict[str, Any]


def require_packable(cell: CellReader, folded: Folded, layout: str) -> Traits:
    """What all matrices of a cell have in common, that a layout's configuration says.

    Raises:
        UserError: it has masks, matrices that are no layers of their own, or what the layout cannot hold.
    """
    plain = "ask for its plain export/, which everything reads"
    if "quantisation" not in cell.metadata:
        raise UserError(
            f"{cell.path} is pruned, and packed are codes: no maintained reader takes packed masks (vLLM and "
            f"compressed-tensors dropped sparse-24-bitmask in 2026); {plain}"
        )
    places = cell.metadata.get("places", {}).values()
    if any(map(is_gate, cell.columns)) or any(place["index"] is not None or place["transposed"] for place in places):
        raise UserError(f"{cell.path} has matrices that are no linear layers of their own; {plain}")
    bits, size = cell.metadata["quantisation"]["bits"], cell.metadata["quantisation"]["group_size"]
    traits: Traits = {"bits": bits, "group_size": size, _ACT_ORDER: False, _SYMMETRIC: True}
    for name in cell.columns:
        weight = folded.weight(name)
        if not isinstance(weight, QuantisedWeight):
            raise UserError(f"{cell.path}: {name} has weights and no codes, which no layout has beside codes; {plain}")
        grid = weight.grid
        traits[_SYMMETRIC] &= bool((grid.zeros == 1 << (bits - 1)).all())
        traits[_ACT_ORDER] |= not torch.equal(grid.group_of_column, grid.group_of_column.sort().values)
        _require_whole_words(name, weight, layout)
    if layout != "gptq" and traits[_ACT_ORDER]:
        raise UserError(f"{cell.path} has groups of scattered columns (act order), which {layout} has not; gptq has")
    if layout == "awq" and bits != 4:
        raise UserError(f"{cell.path} is of {bits} bits, and AWQ of 4; {plain}")
    return traits


def _require_whole_words(name: str, weight: QuantisedWeight, layout: str) -> None:
    d_out, d_in = weight.grid.codes.shape
    widths = {"gptq": (d_out, d_in), "awq": (d_out,), "compressed-tensors": (d_out,)}[layout]
    if odd := [width for width in widths if width * weight.bits % 32]:
        raise UserError(f"{name}: {odd[0]} codes of {weight.bits} bits are no whole words of 32 bits: {layout} cannot")


def parts_of(weight: QuantisedWeight, layout: str, traits: Traits, dtype: torch.dtype) -> dict[str, Tensor]:
    """The tensors that stand for a matrix, by what follows its name."""
    grid, bits = weight.grid, weight.bits
    zeros = grid.zeros.T.contiguous()
    match layout:
        case "gptq":
            return {
                "qweight": pack_stream(grid.codes, bits).T.contiguous(),
                "qzeros": pack_one_less(zeros, bits),
                "scales": _scales(grid, torch.float16).T.contiguous(),
                "g_idx": grid.group_of_column.clone(),
            }
        case "awq":
            return {
                "qweight": pack_awq(grid.codes.T.contiguous()),
                "qzeros": pack_awq(zeros),
                "scales": _scales(grid, torch.float16).T.contiguous(),
            }
    found = {
        "weight_packed": pack_stream(grid.codes, bits),
        "weight_scale": _scales(grid, dtype),
        "weight_shape": torch.tensor(grid.codes.shape),
    }
    if not traits[_SYMMETRIC]:
        found["weight_zero_point"] = pack_stream(zeros, bits).T.contiguous()
    return found


def _scales(grid: Quantised, dtype: torch.dtype) -> Tensor:
    """Raises `UserError` for one that the dtype cannot hold."""
    found = grid.scales.to(dtype)
    if not bool(torch.isfinite(found).all()) or bool(((found == 0) & (grid.scales != 0)).any()):
        raise UserError(f"a scale of {grid.scales.abs().max():.3g} cannot be held in {str(dtype)[6:]}")
    return found


def configuration(layout: str, traits: Traits, dense: list[str]) -> dict[str, Any]:
    """`quantization_config`, which says how to read the folder; `dense` are linear layers without codes."""
    bits, size = traits["bits"], traits["group_size"]
    if layout == "gptq":
        return {
            "quant_method": "gptq",
            "bits": bits,
            "group_size": size or -1,
            "sym": traits[_SYMMETRIC],
            "desc_act": traits[_ACT_ORDER],
            "checkpoint_format": "gptq",
            "pack_dtype": "int32",
            "lm_head": False,
            "dynamic": {f"-:^{name.replace('.', chr(92) + '.')}$": {} for name in dense},
        }
    if layout == "awq":
        about = {"quant_method": "awq", "bits": bits, "group_size": size or -1, "zero_point": True, "version": "gemm"}
        return about | {"modules_to_not_convert": dense}
    weights = {
        "num_bits": bits,
        "type": "int",
        "symmetric": traits[_SYMMETRIC],
        "strategy": "group" if size else "channel",
        "group_size": size,
        "actorder": None,
        "dynamic": False,
    }
    group = {"targets": ["Linear"], "weights": weights, "input_activations": None, "output_activations": None}
    return {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized",
        "quantization_status": "compressed",
        "config_groups": {"group_0": group | {"format": "pack-quantized"}},
        "ignore": dense,
    }


def export_packed(checkpoint: Checkpoint, cell: CellReader, layout: str, folder: Path) -> dict[str, Any]:
    """Write the files into `folder`, a file of the dense model in memory at a time; the `quantization_config`.

    Raises:
        UserError: the layout cannot hold the cell; names why.
    """
    folded = Folded(cell, checkpoint)
    traits = require_packable(cell, folded, layout)
    dense, places = ["lm_head"], dict[str, str]()
    progress = Progress(len(checkpoint.files), "file")
    for done, file in enumerate(checkpoint.files, start=1):
        found: dict[str, Tensor] = {}
        for name in (each for each, of in checkpoint.file_of.items() if of == file):
            module = name.removesuffix(_WEIGHT)
            weight = folded.weight(module)
            if isinstance(weight, QuantisedWeight):
                parts = parts_of(weight, layout, traits, checkpoint.dtype)
                found |= {f"{module}.{part}": tensor for part, tensor in parts.items()}
                continue
            found[name] = folded.tensor(name)
            if ".layers." in name and found[name].dim() == 2:
                dense.append(module)
        save_file(found, folder / file, metadata={"format": "pt"})
        places |= dict.fromkeys(found, file)
        progress.report(done)
    if len(checkpoint.files) > 1:
        total = sum((folder / file).stat().st_size for file in checkpoint.files)
        index: Mapping[str, Any] = {"metadata": {"total_size": total}, "weight_map": dict(sorted(places.items()))}
        (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    return configuration(layout, traits, dense)
