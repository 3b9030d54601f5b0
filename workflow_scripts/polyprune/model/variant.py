"""A model to be looked at: the dense one, or a compressed one beside it; and what its measurements say about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyprune.artifacts.cells import CellReader
from polyprune.errors import UserError
from polyprune.model.checkpoint import open_model
from polyprune.model.decoder import Decoder, choose_device
from polyprune.model.source import read_manifest


@dataclass(frozen=True)
class Variant:
    """A decoder, the cell that compresses it (None: dense), and what identifies both."""

    decoder: Decoder
    cell: CellReader | None
    about: dict[str, Any]


def open_variant(model: Path, cell: list[Path], device: str) -> Variant:
    """A model by its manifest and a cell's file, or none.

    Raises:
        UserError: the cell was made from other weights.
    """
    manifest = read_manifest(model)
    reader = CellReader(cell[0]) if cell else None
    if reader is not None and reader.metadata["model_digest"] != manifest["digest"]:
        raise UserError(
            f"{reader.path} was made from another version of this model than {model}; delete it and run again"
        )
    decoder = Decoder(open_model(model), choose_device(device))
    about = {
        "model": manifest["source"],
        "model_digest": manifest["digest"],
        "architecture": manifest["architecture"],
        "dtype": str(decoder.dtype).removeprefix("torch."),
        "n_layers": decoder.n_layers,
        "d_model": decoder.d_model,
        "cell": {key: value for key, value in reader.metadata.items() if key != "columns"} if reader else None,
    }
    return Variant(decoder, reader, about)
