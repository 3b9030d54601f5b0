"""A compressed model's weights in the files of the dense one: same names, same shards, same dtypes.

Where the configuration asks for a dtype all weights are in that one. Removed experts are left out, and an index says
so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from polyprune.artifacts.cells import CellReader
from polyprune.artifacts.tensors import data_size, rewrite
from polyprune.errors import UserError
from polyprune.log import Progress
from polyprune.model.checkpoint import NAMES, Checkpoint
from polyprune.model.export_experts import remaining
from polyprune.model.source import INDEX

_WEIGHT = ".weight"


def export_weights(checkpoint: Checkpoint, cell: CellReader, folder: Path) -> None:
    """Write the model's safetensors files into `folder`, one matrix in memory at a time.

    Raises:
        UserError: the cell compresses a matrix that the checkpoint lacks.
    """
    left = remaining(checkpoint, cell)
    places: Mapping[str, Mapping[str, Any]] = cell.metadata.get("places", {})
    compressed: dict[str, dict[str, Mapping[str, Any]]] = {}
    for name in () if cell.removes_experts else cell.columns:
        place = places.get(name, {"tensor": name + _WEIGHT, "index": None, "transposed": False})
        compressed.setdefault(place["tensor"], {})[name] = place
    if lacking := [tensor for tensor in compressed if tensor not in checkpoint.file_of]:
        raise UserError(f"{checkpoint.folder} has no tensor {lacking[0]}, which {cell.path} compresses")

    if lacking := [tensor for tensor in cell.beside if tensor not in checkpoint.file_of]:
        raise UserError(f"{checkpoint.folder} has no tensor {lacking[0]}, which {cell.path} replaces")

    converted = dict.fromkeys(checkpoint.file_of, NAMES[checkpoint.dtype]) if checkpoint.asked else {}

    def replacement(tensor: str) -> bytes | None:
        if not any(tensor in each for each in (compressed, converted, cell.beside, left.cut)):
            return None
        stored = checkpoint.tensor(tensor)
        dense = cell.tensor_beside(tensor).to(stored.dtype) if tensor in cell.beside else stored
        dense = dense.to(checkpoint.dtype) if converted else dense
        if tensor in left.cut:
            dense = left.cut[tensor](dense)
        if tensor in compressed:
            dense = dense.clone()
        for name, place in compressed.get(tensor, {}).items():
            of_matrix = dense if place["index"] is None else dense[place["index"]]
            of_matrix = of_matrix.T if place["transposed"] else of_matrix
            weight = cell.weight(name)
            if weight is not None:
                of_matrix.copy_(weight.dense(of_matrix))
        return dense.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()

    progress = Progress(len(checkpoint.files), "file")
    for done, file in enumerate(checkpoint.files, start=1):
        rewrite(checkpoint.folder / file, folder / file, replacement, left.changes(converted))
        progress.report(done)
    if cell.removes_experts and (index := checkpoint.folder / INDEX).is_file():
        size = sum(data_size(folder / file) for file in checkpoint.files)
        told = left.in_index(json.loads(index.read_text(encoding="utf-8")), size)
        (folder / INDEX).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
