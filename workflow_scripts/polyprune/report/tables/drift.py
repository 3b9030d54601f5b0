"""The paper's table 1 (and 6): perplexity, SNR and pruning error, from perplexity and drift files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from polyprune.artifacts.measurements import TABLE
from polyprune.grammar.titles import Titles
from polyprune.report.measured import load_columns
from polyprune.report.tables import heatmap, robust
from polyprune.report.tables.blocks import Metric, make_blocks
from polyprune.report.tables.framing import framing_sentences
from polyprune.report.tables.markdown import render_markdown, summaries
from polyprune.report.tables.report import Report
from polyprune.report.tables.rows import (
    add_paper_values,
    aggregate,
    in_order,
    load_paper,
    long_table,
    notes,
    require_complete,
    scores_and_headers,
    shown_and_kept,
)
from polyprune.report.tables.standing import standings
from polyprune.settings.studies import TableSettings

DENSE_METRICS = ("perplexity", "bits_per_byte")
CELL_METRICS = (*DENSE_METRICS, "snr", "pruning_error", "snr_robust", "pruning_error_robust")
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
    scores, headers = scores_and_headers(measurements)
    rows = scores[scores["metric"].isin(CELL_METRICS)]
    require_complete(rows, DENSE_METRICS, CELL_METRICS)
    rows = in_order(add_paper_values(rows, load_paper(paper)), list(titles.models), CELL_METRICS)
    references = bool(table.references)
    shown, kept = shown_and_kept(rows, references)
    shown = in_order(shown, list(titles.models), CELL_METRICS)
    means = aggregate(shown)
    blocks = make_blocks(means, PRINTED, standings(load_columns([], evidence, headers), references))
    without = make_blocks(means, robust.METRICS)
    about = framing_sentences(headers.values(), scores, titles)
    about += robust.robust_sentences(blocks, without, scores, titles)
    on_page = robust.beside(blocks, without)
    bold = [robust.BOLD] if any(len(block.panels) > len(PRINTED) for block in on_page) else []
    return Report(
        schema=TABLE,
        rows=long_table(kept),
        page=render_markdown(on_page, table.title, titles, notes(headers.values()), [*about, *bold]),
        picture=heatmap.picture(blocks, table.title, titles, about),
        log=summaries(blocks, titles),
    )
