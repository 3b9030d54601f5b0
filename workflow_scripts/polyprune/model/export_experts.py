"""A model without the experts that a cell removes, in files: fewer or shorter tensors, and a configuration to match.

Experts that stay keep their order and are numbered anew, so that any program that loads the family loads the export.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from polyprune.artifacts.cells import CellReader
from polyprune.artifacts.tensors import Changes
from polyprune.errors import UserError
from polyprune.model.checkpoint import Checkpoint


@dataclass
class Remaining:
    """What is otherwise than in the dense model: names of tensors of the files (None: left out) and entries that stay.

    `entries` are an axis and the places along it that stay, by tensor; `config` what config.json says.
    """

    names: dict[str, str | None] = field(default_factory=dict)
    shapes: dict[str, list[int]] = field(default_factory=dict)
    cut: dict[str, Callable[[Tensor], Tensor]] = field(default_factory=dict)
    config: dict[str, int] = field(default_factory=dict)

    def changes(self, dtypes: Mapping[str, str]) -> Changes:
        """For `artifacts/tensors.py`."""
        return Changes(dtypes, self.shapes, self.names)

    def in_config(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """config.json with the number of experts that is left, where it says it: at its top, or in its text's part."""
        name = next(iter(self.config), "")
        part = next((key for key, value in config.items() if isinstance(value, Mapping) and name in value), None)
        if not self.config or name in config or part is None:
            return {**config, **self.config}
        return {**config, part: {**config[part], **self.config}}

    def in_index(self, index: Mapping[str, Any], total_size: int) -> dict[str, Any]:
        """The index of sharded files with the names of what is left; `total_size` is of its tensors, bytes."""
        named = ((self.names.get(name, name), file) for name, file in index["weight_map"].items())
        weight_map = {name: file for name, file in named if name is not None}
        return {**index, "metadata": {**index.get("metadata", {}), "total_size": total_size}, "weight_map": weight_map}


def remaining(checkpoint: Checkpoint, cell: CellReader) -> Remaining:
    """What is left of a model's files by a cell that removes experts; nothing is otherwise for other cells.

    Raises:
        UserError: experts are stored in a way that cannot be taken apart.
    """
    found = Remaining()
    if not cell.removes_experts:
        return found
    # Imported here because only such cells need transformers.
    from polyprune.model.building import build, read_config
    from polyprune.model.fewer_experts import FewerExperts, left_of
    from polyprune.model.layout import Layout

    folder = checkpoint.folder
    parts = build(read_config(folder), checkpoint.dtype, folder, checkpoint.architecture)
    layout = Layout(parts.model, checkpoint.file_of, checkpoint.shape_of)
    fewer = FewerExperts(checkpoint, parts.layers, torch.device("cpu"))
    for index, layer in enumerate(parts.layers):
        if (keep := cell.experts_kept(index)) is None:
            continue
        found.config = {fewer.entry(int(keep.sum())): int(keep.sum())}
        wanted, places = fewer.shapes(index, keep), keep.nonzero().flatten()
        for name, value in layer.state_dict().items():
            target = f"{parts.prefix}.{index}.{name}"
            if value.shape == wanted[name]:
                continue
            if target not in layout.sources:
                raise UserError(f"{folder} has no tensor for {target}, of which an expert is removed")
            source, shape = layout.sources[target], wanted[name]
            if (tensor := source.plain or source.turned) is not None:
                shape = shape if source.plain else torch.Size((shape[0], shape[2], shape[1]))
                found.shapes[tensor] = list(shape)
                found.cut[tensor] = lambda whole, shape=shape, places=places, of=tensor: left_of(
                    whole, shape, places, of
                )
            else:
                stacked = source.stacked(target)
                found.names |= {old: None for names in stacked for old in names}
                for place, expert in enumerate(places.tolist()):
                    found.names |= dict(zip(stacked[expert], stacked[place], strict=True))
    return found
