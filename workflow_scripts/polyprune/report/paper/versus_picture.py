"""A study's cells beside the paper's as a picture a table: both numbers, and in colour how far ours are off."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from polyprune.grammar.columns import place_in_tables
from polyprune.grammar.paths import DENSE
from polyprune.grammar.titles import Titles
from polyprune.report.names import calibration_label, is_other, is_pair, language_of, pair_label
from polyprune.report.numbers import format_number
from polyprune.report.paper.versus_paper import FAR, block_title, diagonal, rank_correlation
from polyprune.report.printed import BLOCK, COLUMN
from polyprune.report.tables.picture import Grid, Picture, Section, draw_picture

BLUE_TO_ORANGE = LinearSegmentedColormap.from_list(
    "below and above", ["#004a68", "#59a0ca", "#f7f7f7", "#e69f00", "#9c4500"]
)
"""Told apart by colour-blind eyes; equal is nearly white."""
SPREADS = 4.0
"""Where the colours end."""
ENDS = f"ours lower by {SPREADS:g} spreads or more", f"higher by {SPREADS:g} or more"
_METRICS = {
    "perplexity": ("Perplexity", 1.0, 1),
    "snr": ("SNR [dB]", 1.0, 1),
    "pruning_error": ("Pruning error [10⁻⁶]", 1e-6, 1),
}
_OVERLAP = "iou:"


def draw_table(cells: pd.DataFrame, title: str, titles: Titles) -> Figure:
    """One table; `cells` are rows of `report/paper/versus_paper.py`."""
    sections = [_section(cells, block, titles) for block in _blocks(cells)]
    ends = ENDS if cells["in_spreads"].notna().any() else None
    return draw_picture(Picture(tuple(sections), title, ends, _caption(cells, sections), BLUE_TO_ORANGE))


def _caption(cells: pd.DataFrame, sections: Sequence[Section]) -> str:
    known = int(cells["in_spreads"].notna().sum())
    notes = " ".join(grid.note for section in sections for grid in section.grids)
    if known:
        sentences = [
            "Ours (the paper's). Colour: their difference over the spread between two runs, √(our variance over seeds "
            "+ the printed one), or of the one that is known."
        ]
        if known < len(cells):
            sentences.append(f"It is known for {known} of {len(cells)} cells; the others have no colour.")
        sentences.append(f"Frame: beyond {FAR:g} spreads.")
    else:
        sentences = [
            "Ours (the paper's). No colour: one draw of calibration text on either side says nothing of how far two "
            "runs are apart."
        ]
    if "ρ" in notes:
        sentences.append("ρ: Spearman's, of the single languages in a column, mean over columns.")
    if "target best" in notes:
        sentences.append("Target best: columns in which their own language is the best calibration or ties.")
    return " ".join(sentences)


def _blocks(cells: pd.DataFrame) -> list[tuple[str, str, str]]:
    compressed = cells[cells["method"] != DENSE]
    shown = compressed if len(compressed) else cells
    return list(shown[BLOCK].drop_duplicates().itertuples(index=False, name=None))


def _section(cells: pd.DataFrame, block: tuple[str, str, str], titles: Titles) -> Section:
    model, method, scheme = block
    of_model = cells[cells["model"] == model]
    own = of_model[(of_model["method"] == method) & (of_model["scheme"] == scheme)]
    overlap = own["metric"].str.startswith(_OVERLAP).all()
    shown = own if overlap else pd.concat([of_model[of_model["method"] == DENSE], own]).drop_duplicates()
    rows = list(dict.fromkeys(shown["calibration"]))
    rows.sort(key=lambda name: (name != DENSE, name.count("-"), name))
    pairs = overlap and all(map(is_pair, rows))
    languages = sorted({language_of(column) for column in shown["eval_language"]})
    grids = (
        [_overlap(shown, rows)]
        if overlap
        else [_grid(shown[shown["metric"] == metric], rows, titles) for metric in dict.fromkeys(shown["metric"])]
    )
    return Section(
        heading=block_title(model, method, scheme, titles),
        down="two languages" if pairs else "calibration language",
        rows=tuple(pair_label(name) if pairs else calibration_label(name, languages) for name in rows),
        grids=tuple(grids),
        rule=None if overlap else next((row for row, name in enumerate(rows) if is_other(name)), None),
    )


def _grid(shown: pd.DataFrame, rows: Sequence[str], titles: Titles) -> Grid:
    """One metric: calibrations down, evaluation languages across."""
    metric = str(shown["metric"].iloc[0])
    name, unit, decimals = _METRICS.get(metric) or (_benchmark(shown, titles.benchmarks[metric]), 1.0, 1)
    columns = sorted(set(shown["eval_language"]), key=place_in_tables)
    return _cells(shown, "eval_language", rows, columns, name, [column.upper() for column in columns], unit, decimals)


def _benchmark(shown: pd.DataFrame, title: str) -> str:
    """`MKQA [f1_ws, %]`, by what was counted."""
    return f"{title} [{'/'.join(sorted(set(shown['score'].dropna())))}, %]"


def _overlap(shown: pd.DataFrame, rows: Sequence[str]) -> Grid:
    """Overlap of masks: calibrations or pairs of them down, matrices across."""
    columns = list(dict.fromkeys(shown["metric"]))
    labels = [column.removeprefix(_OVERLAP) for column in columns]
    return _cells(shown, "metric", rows, columns, "Overlap of masks [IoU]", labels, 1.0, 3)


def _cells(
    shown: pd.DataFrame,
    across: str,
    rows: Sequence[str],
    columns: Sequence[str],
    name: str,
    labels: Sequence[str],
    unit: float,
    decimals: int,
) -> Grid:
    ours, paper, off = (
        shown.pivot(index="calibration", columns=across, values=value)
        .reindex(index=list(rows), columns=list(columns))
        .to_numpy(float)
        for value in ("ours", "paper", "in_spreads")
    )
    texts = np.vectorize(lambda a, b: _text(a / unit, b / unit, decimals), otypes=[object])(ours, paper)
    return Grid(
        title=name,
        across="matrix" if across == "metric" else "evaluation language",
        columns=tuple(labels),
        texts=texts,
        shades=(np.clip(off, -SPREADS, SPREADS) / SPREADS + 1) / 2,
        frames=np.abs(off) > FAR,
        note=_agreement(shown),
    )


def _text(ours: float, paper: float, decimals: int) -> str:
    return "" if np.isnan(ours) else f"{format_number(ours, decimals)} ({format_number(paper, decimals)})"


def _agreement(shown: pd.DataFrame) -> str:
    """`ρ 0.81, target best 5 (the paper: 6) of 7`."""
    columns = [column for _, column in shown[shown["method"] != DENSE].groupby(COLUMN, sort=False)]
    ranks = [each for each in map(rank_correlation, columns) if each == each]
    pairs = [(diagonal(column, "ours"), diagonal(column, "paper")) for column in columns]
    known = [pair for pair in pairs if pair[0] is not None]
    parts = [f"ρ {np.mean(ranks):.2f}"] if ranks else []
    if known:
        ours, paper = (sum(bool(each) for each in side) for side in zip(*known, strict=True))
        parts.append(f"target best {ours} (the paper: {paper}) of {len(known)}")
    return ", ".join(parts)
