"""The paper's table 1 (and 6) of any study: perplexity, SNR and pruning error of all its cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polyprune.artifacts.atomic import atomic_write
from polyprune.artifacts.scores import SCHEMA
from polyprune.log import logger
from polyprune.report.tables.blocks import Metric, make_blocks
from polyprune.report.tables.heatmap import save_picture
from polyprune.report.tables.markdown import render_markdown, summary_line
from polyprune.report.tables.rows import (
    add_paper_values,
    aggregate,
    in_order,
    load_paper,
    load_scores,
    notes,
    require_complete,
    save_rows,
)

DENSE_METRICS = ("perplexity", "bits_per_byte")
CELL_METRICS = (*DENSE_METRICS, "snr", "pruning_error")
PRINTED = (
    Metric("perplexity", "Perplexity", larger_is_better=False),
    Metric("snr", "SNR", larger_is_better=True, unit="dB"),
    Metric("pruning_error", "Pruning error", larger_is_better=False, scaled=True),
)


def tabulate_drift(
    scores: list[Path],
    paper: list[Path],
    title: str,
    titles: list[tuple[str, str]],
    output: Path,
    markdown: Path,
    picture: Path,
    provenance: dict[str, Any],
) -> None:
    """Write the long table (`report/rows.py`), its printed form and its picture.

    `scores` are perplexity and drift files of the cells and perplexity files of their dense models; `paper` is
    a file of the paper's numbers or nothing. `titles` are pairs of model and its name in print,
    in the order of the table.
    """
    names = dict(titles)
    rows = load_scores(scores)
    rows = rows[rows["metric"].isin(CELL_METRICS)]
    require_complete(rows, DENSE_METRICS, CELL_METRICS)
    rows = in_order(add_paper_values(rows, load_paper(paper)), list(names), CELL_METRICS)
    blocks = make_blocks(aggregate(rows), PRINTED)
    for block in blocks:
        logger.info("%s", summary_line(block, names).removeprefix("- "))
    save_rows(output, rows, provenance)
    with atomic_write(markdown) as part:
        part.write_text(render_markdown(blocks, title, names, notes(scores, SCHEMA)), encoding="utf-8")
    save_picture(picture, blocks, title, names)
