"""AWQ's scales of columns, folded into what makes the columns: no layout of codes has a place for them.

    FOLD-1   g_j / s_j       where a norm with weight g makes input j of the matrices
    FOLD-2   Δ_j / s_j       of every group of row j, and b_j / s_j of a bias, where a matrix makes it, straight or
                             multiplied by something else: v_proj for o_proj, up_proj for down_proj

As AutoAWQ folds them (`apply_scale`), but behind the search: codes and zero points stay what they are. In real numbers
the model is the cell's; norms are rounded to their dtype, scales to the layout's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from polyprune.artifacts.cells import CellReader
from polyprune.artifacts.weights import QuantisedWeight
from polyprune.errors import UserError
from polyprune.model.checkpoint import Checkpoint

FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
"""`model_type` of models whose layers are made like this: RMSNorms that multiply by their weight."""
_MAKERS = {
    "self_attn.q_proj": "input_layernorm",
    "self_attn.k_proj": "input_layernorm",
    "self_attn.v_proj": "input_layernorm",
    "self_attn.o_proj": "self_attn.v_proj",
    "mlp.gate_proj": "post_attention_layernorm",
    "mlp.up_proj": "post_attention_layernorm",
    "mlp.down_proj": "mlp.up_proj",
}
_WEIGHT, _BIAS = ".weight", ".bias"
_PLAIN = "ask for its plain export/, which everything reads"


class Folded:
    """A quantised cell without scales of columns; one that has none is left as it is."""

    def __init__(self, cell: CellReader, checkpoint: Checkpoint) -> None:
        """Raises `UserError` where they cannot be folded, and says why."""
        self.cell, self.checkpoint = cell, checkpoint
        self.divisors: dict[str, Tensor] = {}
        scales = {name: found for name in cell.columns if (found := _scales(cell.weight(name))) is not None}
        if scales and (family := checkpoint.config.get("model_type")) not in FAMILIES:
            raise UserError(
                f"{cell.path} has scaled columns (AWQ), which layouts of codes hold folded into the layer before; "
                f"where that is, is known of {', '.join(FAMILIES)}, and not of {family!r}: {_PLAIN}"
            )
        for prefix in sorted({name.rsplit(".", 2)[0] for name in scales}):
            self._fold_layer(prefix, scales)

    def _fold_layer(self, prefix: str, scales: Mapping[str, Tensor]) -> None:
        for matrix, maker in _MAKERS.items():
            readers = [f"{prefix}.{each}" for each, of in _MAKERS.items() if of == maker]
            found = [scales.get(reader) for reader in readers]
            if all(each is None for each in found):
                continue
            first = found[0]
            if first is None or any(each is None or not torch.equal(each, first) for each in found):
                raise UserError(f"{self.cell.path}: {' and '.join(readers)} are not scaled alike: {_PLAIN}")
            before = f"{prefix}.{maker}"
            if (rows := self.checkpoint.shape_of(before + _WEIGHT)[0]) != len(first):
                raise UserError(
                    f"{self.cell.path}: {prefix}.{matrix} has {len(first)} scaled columns, {before} makes {rows} that "
                    "several heads share: they cannot be folded. Cells of compression.awq.foldable: true leave them "
                    f"alone; or {_PLAIN}"
                )
            self.divisors[before] = first

    def weight(self, name: str) -> Any:
        """As `CellReader.weight`; a matrix that makes scaled columns has other scales."""
        found = self.cell.weight(name)
        if not isinstance(found, QuantisedWeight):
            return found
        grid = replace(found.grid, column_scales=None)
        if name in self.divisors:
            grid = replace(grid, scales=grid.scales / self.divisors[name][:, None])
        return replace(found, grid=grid)

    def tensor(self, name: str) -> Tensor:
        """A tensor that has no codes, by its name in the files: the cell's or the dense model's, in the used dtype."""
        cell, checkpoint = self.cell, self.checkpoint
        stored = cell.tensor_beside(name) if name in cell.beside else checkpoint.tensor(name)
        divisor = self.divisors.get(name.removesuffix(_WEIGHT).removesuffix(_BIAS))
        if divisor is None:
            return stored.to(checkpoint.dtype)
        divisor = divisor if stored.dim() == 1 else divisor[:, None]
        return (stored.float() / divisor).to(checkpoint.dtype)


def _scales(weight: object) -> Tensor | None:
    return weight.grid.column_scales if isinstance(weight, QuantisedWeight) else None
