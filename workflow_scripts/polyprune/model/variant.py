"""Models to be looked at: the dense one, or cells beside it; and what files of measurements say of their origin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from polyprune.artifacts.cells import CellReader
from polyprune.artifacts.hdf5 import Attributes
from polyprune.artifacts.identity import DENSE_VARIANT
from polyprune.artifacts.prompts import PromptSet
from polyprune.artifacts.tokens import TokenSet
from polyprune.model.cells import open_cell
from polyprune.model.checkpoint import open_model
from polyprune.model.decoder import Decoder
from polyprune.model.source import read_manifest


@dataclass(frozen=True)
class Variants:
    """A decoder and the cells that compress it."""

    decoder: Decoder
    cells: list[CellReader]
    manifest: dict[str, Any]

    def __iter__(self) -> Iterator[CellReader | None]:
        """What is looked at: each cell; without cells the dense model, as None."""
        yield from self.cells or [None]

    @property
    def of_text(self) -> dict[str, str]:
        """What the header of a file of this model's tokens says."""
        return {"model_digest": self.manifest["digest"]}

    def attributes(
        self, cell: CellReader | None, data: TokenSet | PromptSet, hooks: str, provenance: Mapping[str, Any]
    ) -> Attributes:
        """Root attributes of a file of measurements of one variant on one text. What does not apply is left out.

        `hooks` says where in the model was measured. The provenance is without the name of the job, which may have made
        files of other variants too.
        """
        source, origin = self.manifest["source"], data.metadata
        compression = cell.metadata if cell else DENSE_VARIANT
        found = {
            "model": source.get("id", source.get("path", "trained")),
            "model_revision": source.get("revision"),
            "model_digest": self.manifest["digest"],
            "architecture": self.manifest["architecture"],
            "dtype": self.decoder.dtype_name,
            "n_layers": self.decoder.n_layers,
            "d_model": self.decoder.d_model,
            **{name: compression.get(name) for name in ("method", "scheme", "calibration", "seed")},
            **{name: origin[name] for name in ("dataset", "split", "language", "tokenizer_digest", "template")},
            "corpus": origin.get("corpus"),
            "dataset_revision": origin.get("revision"),
            "data_digest": data.digest,
            "tokens": origin["content"],
            "hooks": hooks,
            "provenance": {
                **{name: value for name, value in provenance.items() if name != "job"},
                "transformers": version("transformers"),
                "cell": cell.brief if cell else None,
                "data": {name: value for name, value in origin.items() if name != "items"},
            },
        }
        return {name: value for name, value in found.items() if value is not None}


def open_variants(model: Path, cells: list[Path], device: torch.device) -> Variants:
    """A model by its manifest, and cells by their files.

    Raises:
        UserError: a cell was made from other weights.
    """
    manifest = read_manifest(model)
    readers = [open_cell(cell, model) for cell in cells]
    return Variants(Decoder(open_model(model), device), readers, manifest)
