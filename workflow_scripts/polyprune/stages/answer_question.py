"""In which language should one calibrate? The answer of a study, from its answers to questions and its dumps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polyprune.artifacts.atomic import atomic_write
from polyprune.artifacts.measurements import save_frame
from polyprune.grammar.titles import Titles
from polyprune.log import logger
from polyprune.report.answers.answer import ALL, best_calibrations
from polyprune.report.answers.answer_picture import draw
from polyprune.report.answers.answer_text import render_answer
from polyprune.report.figures.drawing import save_png
from polyprune.report.measured import load_columns


def answer_question(
    items: list[Path],
    dumps: list[Path],
    title: str,
    titles: Titles,
    output: Path,
    markdown: Path,
    picture: Path,
    provenance: dict[str, Any],
) -> None:
    """Write the rows of `report/answers/answer.py`, the page that says them in words, and a picture.

    `items` are the answers of cells, `dumps` their hidden-state dumps on the models' corpora, in the cells' folders; of
    the dense model neither is read.
    """
    rows = best_calibrations(load_columns(items, dumps))
    for row in rows[rows["eval_language"] == ALL].to_dict("records"):
        about = "/".join(str(row[name]) for name in ("model", "method", "scheme", "metric"))
        logger.info("%s: target over others %+.2f %s, p %.4f", about, row["gain"], row["unit"], row["p"])
    save_frame(output, rows, provenance)
    with atomic_write(markdown) as part:
        part.write_text(render_answer(rows, title, titles), encoding="utf-8")
    save_png(lambda: draw(rows, title, titles), picture)
