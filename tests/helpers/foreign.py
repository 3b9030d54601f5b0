"""Checkpoints in the layouts of other tools, packed bit by bit in plain Python, and the weights that they stand for."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from polyprune.artifacts.cells import CellReader
from polyprune.model.checkpoint import Checkpoint
from polyprune.model.foreign.reading import ForeignMatrices
from polyprune.model.foreign.tensors import ForeignTensors
from polyprune.model.packed_export import export_packed

Tensors = dict[str, Tensor]
AWQ_NIBBLES = (0, 4, 1, 5, 2, 6, 3, 7)
"""Of eight neighbouring codes the nibbles of a word that they lie in."""


def signed(word: int) -> int:
    return word - (1 << 32) if word >= 1 << 31 else word


def stream(codes: Sequence[int], bits: int) -> list[int]:
    """One bit stream, as numbers of 32 bits."""
    whole = sum(code << (place * bits) for place, code in enumerate(codes))
    return [signed(whole >> (32 * word) & 0xFFFFFFFF) for word in range(-(-len(codes) * bits // 32))]


def whole_codes(codes: Sequence[int], bits: int) -> list[int]:
    """As many codes as fit each word."""
    fit = 32 // bits
    return [word for start in range(0, len(codes), fit) for word in stream(codes[start : start + fit], bits)]


def nibbles(codes: Sequence[int]) -> list[int]:
    """AutoAWQ's order."""
    groups = [codes[start : start + 8] for start in range(0, len(codes), 8)]
    return [signed(sum(code << 4 * AWQ_NIBBLES[place] for place, code in enumerate(group))) for group in groups]


def rows(table: Sequence[Sequence[int]], pack: Callable[[Sequence[int]], list[int]]) -> Tensor:
    """Each row packed."""
    return torch.tensor([pack(row) for row in table], dtype=torch.int32)


def columns(table: Sequence[Sequence[int]]) -> list[list[int]]:
    return [list(column) for column in zip(*table, strict=True)]


class Codes:
    """A matrix of random codes on random grids; `weight` is what it stands for."""

    def __init__(
        self, d_out: int, d_in: int, bits: int, size: int | None, symmetric: bool, seed: int, shuffled: bool = False
    ) -> None:
        draw = random.Random(seed)
        n_groups = d_in // (size or d_in)
        self.bits, self.size = bits, size
        self.codes = [[draw.randrange(1 << bits) for _ in range(d_in)] for _ in range(d_out)]
        middle = 1 << (bits - 1)
        self.zeros = [
            [middle if symmetric else draw.randrange(1 << bits) for _ in range(n_groups)] for _ in range(d_out)
        ]
        self.scales = torch.tensor([[draw.uniform(0.01, 0.1) for _ in range(n_groups)] for _ in range(d_out)]).half()
        self.groups = [column // (size or d_in) for column in range(d_in)]
        if shuffled:
            draw.shuffle(self.groups)
        scales = self.scales.numpy().astype(np.float32)
        self.weight = torch.from_numpy(
            np.array(
                [
                    [
                        np.float32(code - zero[group]) * scale[group]
                        for code, group in zip(row, self.groups, strict=True)
                    ]
                    for row, zero, scale in zip(self.codes, self.zeros, scales, strict=True)
                ],
                dtype=np.float32,
            )
        )

    def gptq(self, first: bool) -> Tensors:
        """`first`: of the first format, whose zero points are one less, subtracted from whole words of 4 bits."""
        zeros = columns(self.zeros)
        if first and 32 % self.bits:
            zeros = [[(zero - 1) % (1 << self.bits) for zero in row] for row in zeros]
        qzeros = rows(zeros, lambda row: stream(row, self.bits))
        if first and not 32 % self.bits:
            ones = sum(1 << place for place in range(0, 32, self.bits))
            qzeros = torch.tensor([[signed((int(word) - ones) % (1 << 32)) for word in row] for row in qzeros.tolist()])
        return {
            "qweight": rows(self.codes, lambda row: stream(row, self.bits)).T.contiguous(),
            "qzeros": qzeros.int(),
            "scales": self.scales.T.contiguous(),
            "g_idx": torch.tensor(self.groups, dtype=torch.int32),
        }

    def awq(self) -> Tensors:
        packed = {"qweight": rows(columns(self.codes), nibbles), "qzeros": rows(columns(self.zeros), nibbles)}
        return packed | {"scales": self.scales.T.contiguous()}

    def awq_gemv(self) -> Tensors:
        padding = 16 - len(self.zeros[0])
        padded = [row + [0] * padding for row in self.zeros]
        return {
            "qweight": rows(self.codes, lambda row: stream(row, 4)),
            "qzeros": rows(padded, lambda row: stream(row, 4)),
            "scales": torch.nn.functional.pad(self.scales, (0, padding)),
        }

    def packed(self, pack: Callable[[Sequence[int], int], list[int]], asymmetric: bool) -> Tensors:
        """compressed-tensors, packed; zero points along d_out."""
        found = {
            "weight_packed": rows(self.codes, lambda row: pack(row, self.bits)),
            "weight_scale": self.scales.clone(),
            "weight_shape": torch.tensor(self.weight.shape),
        }
        if asymmetric:
            found["weight_zero_point"] = rows(columns(self.zeros), lambda row: pack(row, self.bits)).T.contiguous()
        if self.groups != sorted(self.groups):
            found["weight_g_idx"] = torch.tensor(self.groups, dtype=torch.int32)
        return found

    def naive(self) -> Tensors:
        """compressed-tensors, a byte a code, signed."""
        offset = 1 << (self.bits - 1)
        codes = torch.tensor([[code - offset for code in row] for row in self.codes], dtype=torch.int8)
        zeros = torch.tensor([[zero - offset for zero in row] for row in self.zeros], dtype=torch.int8)
        return {"weight": codes, "weight_scale": self.scales.clone(), "weight_zero_point": zeros}

    def frozen(self) -> Tensors:
        return {**self.naive(), "weight": self.weight.clone()}


def bitmask(weight: Tensor, two_of_four: bool) -> Tensors:
    """compressed-tensors' masks: what is kept in one row, or in as many as the matrix has."""
    keep = weight != 0
    packed = torch.from_numpy(np.packbits(keep.numpy(), axis=1, bitorder="little"))
    kept = weight[keep]
    shape = torch.tensor(weight.shape)
    if two_of_four:
        return {"compressed": kept.view(len(weight), -1), "bitmask": packed, "shape": shape[:, None]}
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), keep.sum(1).cumsum(0)[:-1]])
    return {"compressed": kept, "bitmask": packed, "shape": shape, "row_offsets": offsets}


def compressed_tensors(fmt: str, bits: int, size: int | None, **weights: Any) -> dict[str, Any]:
    """A quantization_config with one group."""
    strategy = "group" if size else "channel"
    about = {"num_bits": bits, "group_size": size, "strategy": strategy, "type": "int", **weights}
    return {"quant_method": "compressed-tensors", "format": fmt, "config_groups": {"group_0": {"weights": about}}}


def write_folder(folder: Path, tensors: Tensors, quantisation: dict[str, Any] | None = None) -> Path:
    """A checkpoint of these tensors."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")
    about = {"quantization_config": quantisation} if quantisation else {}
    (folder / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"], **about}))
    return folder


def packed(checkpoint: Checkpoint, cell: CellReader, layout: str, folder: Path) -> ForeignMatrices:
    """A cell in a layout of codes, as the stage leaves the folder, read again."""
    folder.mkdir()
    about = export_packed(checkpoint, cell, layout, folder)
    config = json.loads((checkpoint.folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": about}))
    return ForeignMatrices(ForeignTensors(folder, pickles=False))
