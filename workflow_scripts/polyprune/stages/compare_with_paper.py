"""All tables of a study beside the numbers that the paper prints in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polyprune.artifacts.atomic import atomic_write
from polyprune.artifacts.measurements import save_frame
from polyprune.grammar.titles import Titles
from polyprune.log import logger
from polyprune.report.figures.drawing import save_png
from polyprune.report.paper.versus_paper import FAR, beside_paper, render_versus
from polyprune.report.paper.versus_picture import draw_table
from polyprune.report.printed import load_printed, load_study_rows, table_number


def compare_with_paper(
    tables: list[Path],
    paper: list[Path],
    title: str,
    titles: Titles,
    output: Path,
    markdown: Path,
    pictures: Path,
    provenance: dict[str, Any],
) -> None:
    """Write the rows of `report/paper/versus_paper.py`, their summary, and into `pictures` one of each table.

    `tables` are a study's long tables, `paper` the paper's printed ones; both are named `table{n}`. A table of which
    the paper prints no cell has no picture.
    """
    cells = beside_paper(load_study_rows(tables), {table_number(file): load_printed(file) for file in paper})
    logger.info("%d cells, %d beyond %g spreads", len(cells), int((cells["in_spreads"].abs() > FAR).sum()), FAR)
    save_frame(output, cells, provenance)
    with atomic_write(markdown) as part:
        part.write_text(render_versus(cells, f"{title}, beside the paper", titles), encoding="utf-8")
    pictures.mkdir(parents=True, exist_ok=True)
    for number, of_table in cells.groupby("table"):
        heading = f"Table {number}, {title}, beside the paper"
        save_png(lambda of_table=of_table, heading=heading: draw_table(of_table, heading, titles),
                 pictures / f"table{number}.png")  # fmt: skip
