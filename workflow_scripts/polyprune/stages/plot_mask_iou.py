"""Figure 2 of any study: overlap of masks by layer and matrix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polyprune.artifacts.measurements import MASK_IOU, load_measurements, save_frame
from polyprune.report.figures.drawing import save_figure
from polyprune.report.figures.masks import draw_mask_iou, figure_rows
from polyprune.settings.studies import Figure


def plot_mask_iou(
    measurements: list[Path],
    figure: Figure,
    names: str,
    output: Path,
    pdf: Path,
    png: Path,
    provenance: dict[str, Any],
) -> None:
    """Write the tidy numbers and the pictures drawn from them."""
    rows = figure_rows(load_measurements(measurements, MASK_IOU))
    save_frame(output, rows, provenance)
    save_figure(lambda: draw_mask_iou(rows, figure.title, names), pdf, png)
