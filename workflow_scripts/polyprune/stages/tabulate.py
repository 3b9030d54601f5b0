"""A table of any study: what was measured as long rows, as a page, and as a picture."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, cast

from polyprune.artifacts.atomic import atomic_write
from polyprune.artifacts.tables import save_table
from polyprune.grammar.titles import Titles
from polyprune.log import logger
from polyprune.report.figures.drawing import save_png
from polyprune.report.tables.report import TableModule
from polyprune.settings.studies import TableSettings


def tabulate(
    measurements: list[Path],
    paper: list[Path],
    evidence: list[Path],
    module: str,
    table: TableSettings,
    titles: Titles,
    output: Path,
    markdown: Path,
    picture: Path,
    provenance: dict[str, Any],
) -> None:
    """Write a table in its three forms, as the `module` of its kind arranges it (`report/tables/`).

    `paper` is a file of the paper's numbers or nothing; `evidence` are the answers or dumps behind the measurements of
    cells, which say how sure they are, nothing for kinds that ask for none. `titles` are names in print, models
    in the order of the table.
    """
    kind = cast(TableModule, importlib.import_module(f"polyprune.report.tables.{module}"))
    report = kind.report(measurements, paper, table, titles, evidence)
    for line in report.log:
        logger.info("%s", line)
    save_table(output, report.schema, report.rows, provenance | dict(report.provenance))
    with atomic_write(markdown) as part:
        part.write_text(report.page, encoding="utf-8")
    save_png(report.draw, picture)
