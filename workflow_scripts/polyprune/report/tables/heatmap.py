"""Blocks as a picture: the lighter a cell, the better in its column; the best single language of a column is framed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float64
from matplotlib.figure import Figure

from polyprune.grammar.paths import DENSE
from polyprune.report.names import calibration_label, is_mix
from polyprune.report.numbers import format_number
from polyprune.report.tables.blocks import Block, Panel, seeds_phrase
from polyprune.report.tables.picture import Grid, Section, draw_sections

ENDS = "best", "worst of its column"


def draw(blocks: Sequence[Block], title: str, titles: Mapping[str, str]) -> Figure:
    """The picture of a table of blocks; `titles` are models' names in print."""
    sections = [_section(block, block.heading(titles)) for block in blocks]
    return draw_sections(sections, title, ENDS, _caption(blocks))


def _section(block: Block, heading: str) -> Section:
    return Section(
        heading=heading,
        down="calibration language",
        rows=tuple(calibration_label(name, block.languages) for name in block.calibrations),
        grids=tuple(_grid(panel) for panel in block.panels),
        rule=next((row for row, name in enumerate(block.calibrations) if is_mix(name)), None),
    )


def _grid(panel: Panel) -> Grid:
    values = panel.mean.to_numpy(dtype=float)
    return Grid(
        title=f"{panel.title} {'↑' if panel.larger_is_better else '↓'}",
        across="evaluation language",
        columns=tuple(language.upper() for language in panel.languages),
        texts=np.vectorize(format_number, otypes=[object])(values),
        shades=column_shades(values, np.array([name != DENSE for name in panel.mean.index]), panel.larger_is_better),
        frames=panel.best.to_numpy(dtype=bool),
    )


def column_shades(
    values: Float64[np.ndarray, "n_rows n_columns"], shaded: np.ndarray, larger_is_better: bool
) -> Float64[np.ndarray, "n_rows n_columns"]:
    """0 for the best to 1 for the worst value of each column, over the `shaded` rows; NaN where there is no shade.

    Infinite values get the end of the scale on their side; a column of equal values is all best.
    """
    losses = np.where(shaded[:, None], -values if larger_is_better else values, np.nan)
    shades = np.full_like(losses, np.nan)
    for column, loss in enumerate(losses.T):
        finite = loss[np.isfinite(loss)]
        low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
        shades[:, column] = (np.clip(loss, low, high) - low) / (high - low if high > low else 1.0)
    return shades


def _caption(blocks: Sequence[Block]) -> str:
    sentences = [
        f"Numbers are {seeds_phrase(blocks)}; ↓ smaller is better, ↑ larger is better.",
        "Shade: the lighter, the better, on the scale of its column.",
    ]
    if any(panel.best.to_numpy().any() for block in blocks for panel in block.panels):
        sentences.append("Frame: the best of the single-language calibrations in its column (all of them if equal).")
    sentences.append("dense: the model before compression, not on the scale.")
    if any(is_mix(name) for block in blocks for name in block.calibrations):
        sentences.append("Below the line: mixes; A+B is calibration on text in both languages.")
    return " ".join(sentences)
