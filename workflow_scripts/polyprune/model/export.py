"""A compressed model's weights in the files of the dense one: same names, same shards, same dtypes.

Where the configuration asks for a dtype all weights are in that one.
"""

from __future__ import annotations

from pathlib import Path

import torch

from polyprune.artifacts.cells import CellReader
from polyprune.artifacts.tensors import rewrite
from polyprune.errors import UserError
from polyprune.log import Progress
from polyprune.model.checkpoint import NAMES, Checkpoint

_WEIGHT = ".weight"


def export_weights(checkpoint: Checkpoint, cell: CellReader, folder: Path) -> None:
    """Write the model's safetensors files into `folder`, one matrix in memory at a time.

    Raises:
        UserError: the cell compresses a matrix that the checkpoint lacks.
    """
    if lacking := [name for name in cell.columns if name + _WEIGHT not in checkpoint.file_of]:
        raise UserError(f"{checkpoint.folder} has no tensor {lacking[0] + _WEIGHT}, which {cell.path} compresses")

    converted = dict.fromkeys(checkpoint.file_of, NAMES[checkpoint.dtype]) if checkpoint.asked else {}

    def replacement(name: str) -> bytes | None:
        weight = cell.weight(name.removesuffix(_WEIGHT)) if name.endswith(_WEIGHT) else None
        if weight is None and name not in converted:
            return None
        dense = checkpoint.tensor(name)
        dense = dense.to(checkpoint.dtype) if converted else dense
        written = dense if weight is None else weight.dense(dense)
        return written.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()

    progress = Progress(len(checkpoint.files), "file")
    for done, file in enumerate(checkpoint.files, start=1):
        rewrite(checkpoint.folder / file, folder / file, replacement, converted)
        progress.report(done)
