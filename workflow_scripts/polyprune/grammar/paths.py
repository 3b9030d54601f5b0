"""Where results lie: a cell's folder, the file that holds it, a study's tables and figures."""

from __future__ import annotations

from dataclasses import dataclass

from polyprune.grammar.methods import METHODS

DENSE = "dense"
"""Stands for method, scheme and calibration of the uncompressed model."""


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


def artifact(method: str) -> str:
    """File name of a cell: a mask where the kept weights stay as they were, else the weights."""
    return "weights.safetensors" if METHODS[method].updates else "mask.safetensors"


PAPER = "paper"


def study_path(study: str, name: str) -> str:
    """Where a study's table or figure lies; the paper's lie in results/ itself."""
    return f"results/{name}" if study == PAPER else f"results/{study}/{name}"
