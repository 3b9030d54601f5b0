"""What tokens of massive norm decide: drift without them (DRIFT-3), beside the paper's, and a sentence for captions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pandas as pd

from polyprune.grammar.titles import Titles
from polyprune.report.tables.blocks import Block, Metric, Panel

_WITHOUT = " without massive tokens"
METRICS = (
    Metric("snr_robust", f"SNR{_WITHOUT}", larger_is_better=True, unit="dB"),
    Metric("pruning_error_robust", f"Pruning error{_WITHOUT}", larger_is_better=False, scaled=True),
)
BOLD = "**Bold** in panels without massive tokens: the best of its column."
_COUNT = "massive_tokens"


def beside(blocks: Sequence[Block], robust: Sequence[Block]) -> list[Block]:
    """The blocks; where another calibration is best in a column without massive tokens, with the panels that say so."""
    return [
        replace(block, panels=(*block.panels, *without.panels)) if _other_columns(block, without) else block
        for block, without in zip(blocks, robust, strict=True)
    ]


def robust_sentences(blocks: Sequence[Block], robust: Sequence[Block], rows: pd.DataFrame, titles: Titles) -> list[str]:
    """How many tokens MASSIVE-1 leaves out, from all rows of score files, and where it matters to what is best."""
    counts = rows[rows["metric"] == _COUNT]
    if not counts["value"].any():
        return ["No token has more than 5 times the median norm (MASSIVE-1)."]
    left_out, total = _range(counts["value"], "{:.1f}"), _range(counts["n"], "{:,}")
    massive = f"those of more than 5 times the median norm (MASSIVE-1: {left_out} of {total} a layer)"
    without = f"Without massive tokens, {massive}"
    found = [
        f"{titles.heading(block.model, block.method, block.scheme)}, {', '.join(others)}"
        for block, each in zip(blocks, robust, strict=True)
        if (others := _other_columns(block, each))
    ]
    if not found:
        return [f"{without}, the same calibrations are best in SNR and pruning error."]
    return [f"{without}, another calibration is best by SNR or pruning error: {'; '.join(found)}."]


def _other_columns(block: Block, without: Block) -> list[str]:
    """`SNR in 3 of 7 columns`, of each metric in which another calibration is best without massive tokens."""
    theirs = {panel.name: panel for panel in block.panels}
    found = []
    for panel in without.panels:
        name = panel.name.removesuffix(_WITHOUT)
        other, columns = _differences(theirs[name], panel)
        if other:
            found.append(f"{name if name == 'SNR' else name.lower()} in {other} of {columns} columns")
    return found


def _differences(panel: Panel, without: Panel) -> tuple[int, int]:
    """Columns in which others are the best candidates; of how many."""
    with_choice = [column for column in panel.top.columns if panel.top[column].any()]
    return sum(not panel.top[column].equals(without.top[column]) for column in with_choice), len(with_choice)


def _range(values: Iterable[float], form: str) -> str:
    low, high = form.format(min(values)), form.format(max(values))
    return low if low == high else f"{low} to {high}"
