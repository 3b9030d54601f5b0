"""Where results lie: a cell's folder and a study's files. Written and read back here only."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

DENSE = "dense"
"""Stands for method, scheme and calibration of the uncompressed model."""
PAPER = "paper"
"""The study whose tables and figures lie in `results/` itself."""
OF_STUDIES = ("mask_iou", "mask_agreement", "best_calibration", "versus_paper", "claims", "block_tests", "why")
"""What a study's folder holds beside its tables and figures, without endings."""
OF_RESULTS = ("benchmarks", "corpora", "prompts")
"""Folders of `results/` beside those of models and studies."""
ORIGIN = "@"
"""Between a method and whose checkpoint a cell is read from: `wanda@paper`."""
_CELL = re.compile(r"results/([^/]+)/([^/]+)/([^/]+)/([^/]+)/seed(\d+)/")


@dataclass(frozen=True)
class Cell:
    """One compressed model: a row of a study's grid."""

    model: str
    method: str
    scheme: str
    calibration: str
    seed: int

    @property
    def variant(self) -> str:
        return f"{self.method}/{self.scheme}/{self.calibration}/seed{self.seed}"

    @property
    def folder(self) -> str:
        return f"results/{self.model}/{self.variant}"


def models_of(cells: Iterable[Cell]) -> list[str]:
    """The models of cells, each once, in their order."""
    return list(dict.fromkeys(cell.model for cell in cells))


def origin_of(method: str) -> str | None:
    """Whose checkpoints cells of a method are read from; None if they are made here."""
    return method.partition(ORIGIN)[2] or None


def cell_of(path: str) -> Cell | None:
    """The cell whose file it is, if it is one's; spellings are not checked."""
    match = _CELL.match(path)
    return Cell(*match.groups()[:4], seed=int(match[5])) if match else None


def waiting(dump: Path) -> Path:
    """Where a finished dump waits until its job has made all others."""
    return dump.parent / ".parts" / dump.name


def study_path(study: str, name: str) -> str:
    """Where a study's table or figure lies."""
    return f"results/{name}" if study == PAPER else f"results/{study}/{name}"
