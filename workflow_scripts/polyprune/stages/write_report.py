"""A study as one page: the answer, its tables and figures, and where they are from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polyprune.artifacts.atomic import atomic_write
from polyprune.artifacts.sheets import load_sheet
from polyprune.log import logger
from polyprune.report.page import machine
from polyprune.report.page.content import (
    Content,
    Shown,
    Study,
    corpus_source,
    model_source,
    read_claims,
    read_figure,
    read_frame,
    table_sources,
)
from polyprune.report.page.render import render


def write_report(
    sheets: list[Path],
    pictures: list[Path],
    answer: Path,
    claims: Path,
    manifests: list[Path],
    corpora: list[Path],
    study: Study,
    output: Path,
    provenance: dict[str, Any],  # noqa: ARG001
) -> None:
    """Write the page of a finished study: one file of HTML that needs nothing else.

    `sheets` are its tables as `artifacts/sheets.py` has them, `pictures` its figures, `answer` and `claims` what it
    says; `manifests` and `corpora` are of its models and their text. An unfinished study's is written by
    `report/page/__main__.py`.
    """
    found = [load_sheet(path) for path in sheets]
    content = Content(
        study=study,
        tables=[Shown(path.stem, study.tables[path.stem], sheet) for path, sheet in zip(sheets, found, strict=True)],
        figures=[read_figure(path, study.figures[path.stem]) for path in pictures],
        answer=read_frame(answer),
        claims=read_claims(claims),
        sources=[*map(model_source, manifests), *map(corpus_source, corpora), *table_sources(found)],
    )
    page = render(content, machine.described(), machine.spent(study.titles.models))
    with atomic_write(output) as part:
        part.write_text(page, encoding="utf-8")
    logger.info("%d tables, %d figures, %.1f MB", len(sheets), len(pictures), len(page.encode()) / 1e6)
