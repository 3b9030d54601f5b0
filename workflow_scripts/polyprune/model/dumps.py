"""The dumps that one job makes: of the dense model, or of cells beside it, text by text.

A finished dump waits beside its place until the job has them all. So a job that was killed does not lose the texts that
it had finished: whichever job makes such a dump next takes it over, if it is whole and of the very same things. And a
cell that cannot be read does not cost its neighbours their pass: it is found before the first layer is computed, the
others' dumps are made, and then the job fails, and they wait.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from polyprune.artifacts.cells import CellReader
from polyprune.artifacts.hdf5 import Attributes, Hdf5Reader
from polyprune.artifacts.identity import place_of
from polyprune.artifacts.layer_rows import RowWriter
from polyprune.artifacts.prompts import PromptSet
from polyprune.artifacts.tokens import TokenSet
from polyprune.errors import UserError
from polyprune.grammar.paths import waiting
from polyprune.log import logger
from polyprune.model.cells import open_cell
from polyprune.model.streams import HOOKS
from polyprune.model.variant import Variants, open_variants


@dataclass(frozen=True)
class Dumps:
    """Dumps of variants of a model that are to be made.

    `places` has those of each variant, one a text, and `provenance` what a job with this variant alone would say of
    itself. `refused` is what is wrong with the cells that are not among the variants.
    """

    variants: Variants
    places: list[list[Path]]
    provenance: list[Mapping[str, Any]]
    refused: list[str]

    @contextmanager
    def of_text(
        self, number: int, data: TokenSet | PromptSet, write: Callable[..., AbstractContextManager[RowWriter]]
    ) -> Iterator[tuple[list[CellReader], list[RowWriter]]]:
        """What is still to be made of a text: cells, and the dump of each (or the dense model's) by `write`.

        All are finished when the block ends without error.
        """
        missing: list[tuple[CellReader | None, Path, Attributes]] = []
        for variant, places, provenance in zip(self.variants, self.places, self.provenance, strict=True):
            attributes = self.variants.attributes(variant, data, HOOKS, provenance)
            if not _is_finished(places[number], attributes):
                missing.append((variant, places[number], attributes))
        if len(missing) < len(self.places):
            logger.info("%d of %d dumps are finished from before", len(self.places) - len(missing), len(self.places))
        with ExitStack() as files:
            writers = [files.enter_context(write(path, attributes=attributes)) for _, path, attributes in missing]
            yield [variant for variant, _, _ in missing if variant], writers
        for _, path, _ in missing:
            waiting(path).parent.mkdir(exist_ok=True)
            path.replace(waiting(path))

    def finish(self) -> None:
        """Put all dumps in their places.

        Raises:
            UserError: cells were refused; the dumps of the others wait.
        """
        if self.refused:
            kept = "The dumps of all other cells of this job are made and kept: a run that makes them takes them over."
            raise UserError("\n".join([*self.refused, kept]))
        paths = [path for places in self.places for path in places]
        for path in paths:
            waiting(path).replace(path)
        for folder in {waiting(path).parent for path in paths}:
            shutil.rmtree(folder)


def open_dumps(
    model: Path, cells: Sequence[Path], output: Sequence[Path], device: torch.device, provenance: Mapping[str, Any]
) -> Dumps:
    """Dumps of a model by its manifest, beside cells by their files; without cells of the model alone.

    `output` has each variant's dumps, one variant after the other.

    Raises:
        UserError: no cell can be read.
    """
    complaints = [_complaint(cell, model) for cell in cells]
    refused = [said for said in complaints if said]
    if cells and len(refused) == len(cells):
        raise UserError("\n".join(refused))
    read = [number for number, said in enumerate(complaints) if not said]
    n_texts = len(output) // max(1, len(cells))
    return Dumps(
        open_variants(model, [cells[number] for number in read], device),
        [list(output[number * n_texts :][:n_texts]) for number in read or [0]],
        [_of_one(provenance, number) for number in read or [0]],
        refused,
    )


def _complaint(cell: Path, model: Path) -> str | None:
    """What is wrong with a cell, all of which is read; None if nothing is."""
    try:
        open_cell(cell, model).check()
    except UserError as error:
        return str(error)
    return None


def _of_one(provenance: Mapping[str, Any], number: int) -> Mapping[str, Any]:
    """Of a job whose cells were to be made differently, what its dump of one of them says: as if it had been alone."""
    inputs = provenance.get("inputs", {})
    if not isinstance(inputs.get("cell"), list):
        return provenance
    return {**provenance, "inputs": inputs | {"cell": inputs["cell"][number]}}


def _is_finished(path: Path, attributes: Attributes) -> bool:
    """Whether a whole dump waits for this place that says what it would say if it were made now."""
    if not waiting(path).is_file():
        return False
    try:
        with Hdf5Reader.of_any_kind(waiting(path)) as file:
            file.check()
            found = file.header
    except UserError as error:
        logger.warning("%s; it is made again", error)
        return False
    place = found.pop("place", None)
    del found["schema"]  # whose version goes with the code's digest
    return place == place_of(path) and found == json.loads(json.dumps(attributes))
