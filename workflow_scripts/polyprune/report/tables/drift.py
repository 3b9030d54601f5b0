"""The paper's table 1 (and 6): perplexity, SNR and pruning error, from perplexity and drift files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from polyprune.artifacts.measurements import TABLE
from polyprune.artifacts.scores import SCHEMA
from polyprune.grammar.titles import Titles
from polyprune.report.measured import load_columns
from polyprune.report.tables import heatmap
from polyprune.report.tables.blocks import Metric, make_blocks
from polyprune.report.tables.markdown import render_markdown, summaries
from polyprune.report.tables.report import Report
from polyprune.report.tables.rows import (
    add_paper_values,
    aggregate,
    in_order,
    load_paper,
    load_scores,
    long_table,
    notes,
    require_complete,
    shown_and_kept,
)
from polyprune.report.tables.standing import standings
from polyprune.settings.studies import TableSettings

DENSE_METRICS = ("perplexity", "bits_per_byte")
CELL_METRICS = (*DENSE_METRICS, "snr", "pruning_error")
PRINTED = (
    Metric("perplexity", "Perplexity", larger_is_better=False),
    Metric("snr", "SNR", larger_is_better=True, unit="dB"),
    Metric("pruning_error", "Pruning error", larger_is_better=False, scaled=True),
)


def report(
    measurements: Sequence[Path],
    paper: Sequence[Path],
    table: TableSettings,
    titles: Titles,
    evidence: Sequence[Path],
) -> Report:
    """The table of cells' perplexity and drift files and of their dense models' perplexity files.

    `evidence` are the dumps that these were taken from, a sum a sequence.
    """
    rows = load_scores(measurements)
    rows = rows[rows["metric"].isin(CELL_METRICS)]
    require_complete(rows, DENSE_METRICS, CELL_METRICS)
    rows = in_order(add_paper_values(rows, load_paper(paper)), list(titles.models), CELL_METRICS)
    references = bool(table.references)
    shown, kept = shown_and_kept(rows, references)
    shown = in_order(shown, list(titles.models), CELL_METRICS)
    blocks = make_blocks(aggregate(shown), PRINTED, standings(load_columns([], evidence), references))
    return Report(
        schema=TABLE,
        rows=long_table(kept),
        page=render_markdown(blocks, table.title, titles, notes(measurements, SCHEMA)),
        draw=lambda: heatmap.draw(blocks, table.title, titles),
        log=summaries(blocks, titles),
    )
