"""Figures 11 to 13 of any study: mean activations of channels, dense and pruned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polyprune.artifacts.measurements import MEAN_ACTIVATIONS, load_measurements, save_frame
from polyprune.report.figures.channels import draw_mean_activations, mean_activation_rows
from polyprune.report.figures.drawing import save_figure
from polyprune.settings.studies import Figure


def plot_mean_activations(
    measurements: list[Path],
    figure: Figure,
    names: str,
    output: Path,
    pdf: Path,
    png: Path,
    provenance: dict[str, Any],
) -> None:
    """Write the tidy numbers and the pictures drawn from them."""
    rows = mean_activation_rows(load_measurements(measurements, MEAN_ACTIVATIONS), figure)
    save_frame(output, rows, provenance)
    save_figure(lambda: draw_mean_activations(rows, figure, names), pdf, png)
