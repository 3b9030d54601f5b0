"""The paper's tables 2-4 and 7-15 of any study: benchmark scores of all its cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polyprune.artifacts.atomic import atomic_write
from polyprune.artifacts.evaluations import SCORES_SCHEMA
from polyprune.log import logger
from polyprune.report.names import BENCHMARK_TITLES
from polyprune.report.tables.blocks import Metric, make_blocks
from polyprune.report.tables.heatmap import save_picture
from polyprune.report.tables.markdown import render_markdown, summary_line
from polyprune.report.tables.rows import (
    add_paper_values,
    aggregate,
    in_order,
    load_benchmark_scores,
    load_paper,
    notes,
    require_same_questions,
    save_rows,
)


def tabulate_benchmarks(
    scores: list[Path],
    paper: list[Path],
    benchmarks: list[str],
    title: str,
    titles: list[tuple[str, str]],
    output: Path,
    markdown: Path,
    picture: Path,
    provenance: dict[str, Any],
) -> None:
    """Write the long table (`report/rows.py`), its printed form and its picture. Values are in per cent.

    `scores` are files of the cells and of their dense models on all `benchmarks`; `paper` is a file of the paper's
    numbers or nothing. `titles` are pairs of model and its name in
    print, in the order of the table.
    """
    rows, profiles = load_benchmark_scores(scores)
    require_same_questions(rows, benchmarks)
    names = dict(titles)
    rows = in_order(add_paper_values(rows, load_paper(paper)), list(names), benchmarks)
    metrics = [Metric(name, BENCHMARK_TITLES[name], larger_is_better=True, unit="%") for name in benchmarks]
    blocks = make_blocks(aggregate(rows), metrics)
    for block in blocks:
        logger.info("%s", summary_line(block, names).removeprefix("- "))
    save_rows(output, rows, provenance | {"profiles": profiles})
    title = f"{title}; prompts: {', '.join(profiles)}"
    with atomic_write(markdown) as part:
        part.write_text(render_markdown(blocks, title, names, notes(scores, SCORES_SCHEMA)), encoding="utf-8")
    save_picture(picture, blocks, title, names)
