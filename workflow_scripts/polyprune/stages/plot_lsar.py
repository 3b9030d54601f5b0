"""Figures 1 and 4 to 7 of any study, and 14: how far features of prompts move."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polyprune.artifacts.measurements import LSAR, load_measurements, save_frame
from polyprune.report.figures.drawing import save_figure
from polyprune.report.figures.subspaces import draw_lsar, figure_rows
from polyprune.settings.studies import Figure


def plot_lsar(
    measurements: list[Path],
    figure: Figure,
    names: str,
    output: Path,
    pdf: Path,
    png: Path,
    provenance: dict[str, Any],
) -> None:
    """Write the tidy numbers and the pictures drawn from them."""
    rows = figure_rows(load_measurements(measurements, LSAR), figure)
    save_frame(output, rows, provenance)
    save_figure(lambda: draw_lsar(rows, figure, names), pdf, png)
