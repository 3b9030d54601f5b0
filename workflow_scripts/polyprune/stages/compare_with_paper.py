"""All tables of a study beside the numbers that the paper prints in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polyprune.artifacts.atomic import atomic_write
from polyprune.artifacts.measurements import save_frame
from polyprune.log import logger
from polyprune.report.printed import load_printed, load_study_rows, table_number
from polyprune.report.versus_paper import beside_paper, render_versus


def compare_with_paper(
    tables: list[Path], paper: list[Path], title: str, output: Path, markdown: Path, provenance: dict[str, Any]
) -> None:
    """Write the rows of `report/versus_paper.py` and their summary.

    `tables` are a study's long tables, `paper` the paper's printed ones; both are named `table{n}`.
    """
    cells = beside_paper(load_study_rows(tables), {table_number(file): load_printed(file) for file in paper})
    logger.info("%d cells, %d beyond two spreads", len(cells), int((cells["in_spreads"].abs() > 2).sum()))
    save_frame(output, cells, provenance)
    with atomic_write(markdown) as part:
        part.write_text(render_versus(cells, f"{title}, beside the paper"), encoding="utf-8")
