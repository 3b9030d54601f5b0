"""The paper's tables 2-4 and 7-15: benchmark scores in per cent, from evaluation files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from polyprune.artifacts.evaluations import SCORES_SCHEMA
from polyprune.artifacts.measurements import TABLE
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
    load_benchmark_scores,
    load_paper,
    long_table,
    notes,
    require_same_questions,
    shown_and_kept,
)
from polyprune.report.tables.standing import standings
from polyprune.settings.studies import TableSettings


def report(
    measurements: Sequence[Path],
    paper: Sequence[Path],
    table: TableSettings,
    titles: Titles,
    evidence: Sequence[Path],
) -> Report:
    """The table of cells' and of their dense models' evaluation files on all of the table's benchmarks.

    `evidence` are the cells' answers.
    """
    rows, profiles = load_benchmark_scores(measurements)
    require_same_questions(rows, table.benchmarks)
    rows = in_order(add_paper_values(rows, load_paper(paper)), list(titles.models), table.benchmarks)
    metrics = [Metric(name, titles.benchmarks[name], larger_is_better=True, unit="%", decimals=1)
               for name in table.benchmarks]  # fmt: skip
    references = bool(table.references)
    shown, kept = shown_and_kept(rows, references)
    shown = in_order(shown, list(titles.models), table.benchmarks)
    known = standings(load_columns(evidence, []), references)
    blocks = make_blocks(aggregate(shown), metrics, known)
    title = f"{table.title}; prompts: {', '.join(profiles)}"
    return Report(
        schema=TABLE,
        rows=long_table(kept),
        page=render_markdown(blocks, title, titles, notes(measurements, SCORES_SCHEMA)),
        draw=lambda: heatmap.draw(blocks, title, titles),
        log=summaries(blocks, titles),
        provenance={"profiles": profiles},
    )
