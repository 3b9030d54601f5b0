"""Blocks as a picture: the lighter a cell, the better in its column; what may be the best of a column is framed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float64

from polyprune.grammar.calibrations import is_single_language
from polyprune.grammar.paths import DENSE
from polyprune.grammar.titles import Titles
from polyprune.report.names import calibration_label, is_mix, is_other
from polyprune.report.tables.blocks import Block, Panel, seeds_phrase
from polyprune.report.tables.picture import Grid, Picture, Section
from polyprune.report.tables.standing import candidates

ENDS = "best, or not told from it", "worst of its column"
"""Of the scale, where it is known what can be told apart."""
UNKNOWN_ENDS = "best of its column", "worst of its column"
LEAST_STEPS = 10
"""Of the last printed digit, how wide a scale is at least where it is not."""


def picture(blocks: Sequence[Block], title: str, titles: Titles, about: Sequence[str] = ()) -> Picture:
    """The picture of a table of blocks; `about` are sentences that end its caption."""
    sections = tuple(_section(block, titles.heading(block.model, block.method, block.scheme)) for block in blocks)
    ends = ENDS if any(panel.note for block in blocks for panel in block.panels) else UNKNOWN_ENDS
    return Picture(sections, title, ends, " ".join([_caption(blocks), *about]))


def _section(block: Block, heading: str) -> Section:
    return Section(
        heading=heading,
        down="calibration language",
        rows=tuple(calibration_label(name, block.languages) for name in block.calibrations),
        grids=tuple(_grid(panel) for panel in block.panels),
        rule=next((row for row, name in enumerate(block.calibrations) if is_other(name)), None),
        keys=tuple(block.calibrations),
        block=(block.model, block.method, block.scheme),
    )


def _grid(panel: Panel) -> Grid:
    values = panel.mean.to_numpy(dtype=float)
    return Grid(
        title=f"{panel.title} {'↑' if panel.larger_is_better else '↓'}",
        across="evaluation language",
        columns=tuple(language.upper() for language in panel.languages),
        texts=np.vectorize(panel.text, otypes=[object])(values),
        shades=column_shades(
            values,
            np.array([name != DENSE for name in panel.mean.index]),
            panel.larger_is_better,
            panel.told.to_numpy(dtype=bool),
            np.where(panel.width > 0, panel.width, LEAST_STEPS * 10.0**-panel.decimals),
        ),
        frames=panel.marked.to_numpy(dtype=bool),
        note=panel.note,
        keys=tuple(panel.languages),
        larger_is_better=panel.larger_is_better,
        numbers={name: frame.to_numpy(dtype=float) for name, frame in panel.numbers.items()},
    )


def column_shades(
    values: Float64[np.ndarray, "n_rows n_columns"],
    shaded: Bool[np.ndarray, " n_rows"],
    larger_is_better: bool,
    told: Bool[np.ndarray, "n_rows n_columns"],
    width: Float64[np.ndarray, " n_columns"],
) -> Float64[np.ndarray, "n_rows n_columns"]:
    """0 for the best to 1 for the worst value of each column, over the `shaded` rows; NaN where there is no shade.

    A scale is at least `width` wide, and a value that cannot be `told` from the best is as light as the best. Infinite
    values get the end of the scale on their side.
    """
    losses = np.where(shaded[:, None], -values if larger_is_better else values, np.nan)
    shades = np.full_like(losses, np.nan)
    for column, loss in enumerate(losses.T):
        finite = loss[np.isfinite(loss)]
        low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
        span = max(high - low, width[column])
        shades[:, column] = np.where(np.isinf(loss), loss > 0, (np.clip(loss, low, high) - low) / (span or 1.0))
    return np.where(told | np.isnan(shades), shades, 0.0)


def _caption(blocks: Sequence[Block]) -> str:
    panels = [panel for block in blocks for panel in block.panels]
    known = any(panel.note for panel in panels)
    sentences = [
        f"Numbers are {seeds_phrase(blocks)}; ↓ smaller is better, ↑ larger is better.",
        "Shade: the lighter, the better, on the scale of its column.",
    ]
    if known:
        sentences.append(
            "Told apart from: so far from the best a row must be to be told from it over the same questions or "
            "sequences, among so many rows (the usual one of a table); a scale is at least twice as wide, and what "
            "cannot be told from the best is as light as the best."
        )
    else:
        sentences.append(f"A scale is at least {LEAST_STEPS} steps of the last digit wide.")
    if any(panel.marked.to_numpy().any() for panel in panels):
        chosen = [name for block in blocks for name in candidates([n for n in block.calibrations if n != DENSE])]
        of = "single-language calibrations" if all(map(is_single_language, chosen)) else "rows"
        sentences.append(
            f"Frame: what cannot be told from the best of the {of} of its column; without a frame nothing can be told."
            if known
            else f"Frame: the best of the {of} in its column (all of them if equal)."
        )
    if any(DENSE in block.calibrations for block in blocks):
        sentences.append("dense: the model before compression, not on the scale.")
    if any(block.has_references for block in blocks):
        sentences.append("target: in each column the calibration in its own language.")
    if any(is_mix(name) for block in blocks for name in block.calibrations):
        sentences.append("Below the line: mixes; A+B is calibration on text in both languages.")
    elif any(is_other(name) for block in blocks for name in block.calibrations):
        sentences.append("Below the line: text of another source, share, amount or form.")
    return " ".join(sentences)
