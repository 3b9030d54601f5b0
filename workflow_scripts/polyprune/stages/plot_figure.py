"""A figure of any study: the numbers it shows and the pictures drawn from them."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, cast

from polyprune.artifacts.measurements import load_measurements, save_frame
from polyprune.report.figures.drawing import save_figure
from polyprune.report.figures.plugin import FigureModule
from polyprune.settings.studies import FigureSettings


def plot_figure(
    measurements: list[Path],
    module: str,
    figure: FigureSettings,
    names: str,
    output: Path,
    pdf: Path,
    png: Path,
    provenance: dict[str, Any],
) -> None:
    """Write a figure's tidy rows and both its pictures, as the `module` of its kind draws it (`report/figures/`).

    `figure` holds what this kind reads; `names` says of which model, method and schemes it is.
    """
    kind = cast(FigureModule, importlib.import_module(f"polyprune.report.figures.{module}"))
    rows = kind.rows(load_measurements(measurements, kind.LAYOUT), figure)
    save_frame(output, rows, provenance)
    about = {name: entry for name, entry in provenance.items() if name != "made_with"}
    save_figure(lambda: kind.draw(rows, figure, names), pdf, png, about)
