"""Figures 3 and 8 to 10 of any study: how language-specific MLP neurons are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polyprune.artifacts.measurements import LAPE, load_measurements, save_frame
from polyprune.report.figures.drawing import save_figure
from polyprune.report.figures.neurons import draw_lape, figure_rows
from polyprune.settings.studies import Figure


def plot_lape(
    measurements: list[Path],
    figure: Figure,
    names: str,
    output: Path,
    pdf: Path,
    png: Path,
    provenance: dict[str, Any],
) -> None:
    """Write the tidy numbers and the pictures drawn from them."""
    rows = figure_rows(load_measurements(measurements, LAPE), figure)
    save_frame(output, rows, provenance)
    save_figure(lambda: draw_lape(rows, figure, names), pdf, png)
