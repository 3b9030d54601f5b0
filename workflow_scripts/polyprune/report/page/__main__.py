"""The page of a study that may be unfinished, from what lies there: `make report STUDY=demo`.

    python -m polyprune.workflow.page demo | python -m polyprune.report.page

Where all is finished it is the page that `stages/write_report.py` writes, byte for byte.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pandas as pd
from pydantic import TypeAdapter

from polyprune.artifacts.atomic import atomic_write
from polyprune.artifacts.sheets import load_sheet
from polyprune.commands import run_command
from polyprune.errors import UserError
from polyprune.grammar.titles import Titles
from polyprune.report.answers.answer import best_calibrations
from polyprune.report.measured import load_columns
from polyprune.report.page import machine
from polyprune.report.page.content import (
    Content,
    Part,
    Shown,
    Study,
    Work,
    corpus_source,
    model_source,
    read_claims,
    read_figure,
    read_frame,
    table_sources,
)
from polyprune.report.page.render import render
from polyprune.report.tables.report import TableModule
from polyprune.report.tables.sheet import sheet_of
from polyprune.settings.studies import TableSettings


def content_of(found: Mapping[str, Any], root: Path) -> Content:
    """From what `workflow/page.py` prints; paths are below `root`."""
    study = TypeAdapter(Study).validate_python(found["study"])
    sheets = {Path(path).stem: load_sheet(root / path) for path in found["sheets"]}
    shown = {name: Shown(name, study.tables[name], sheet) for name, sheet in sheets.items()}
    shown |= {each["name"]: _partial(each, study, root) for each in found["partial"]}
    pictures = [root / path for path in found["pictures"]]
    return Content(
        study=study,
        tables=sorted(shown.values(), key=lambda each: int(each.name.removeprefix("table"))),
        figures=[read_figure(path, study.figures[path.stem]) for path in pictures],
        answer=_answer(found, root),
        claims=read_claims(root / found["claims"]) if found["claims"] else pd.DataFrame(),
        sources=[
            *(model_source(root / path) for path in found["manifests"]),
            *(corpus_source(root / path) for path in found["corpora"]),
            *table_sources(list(sheets.values())),
        ],
        work=Work(found["lines"], [Part(**part) for part in found["parts"]], found["made"], found["finish"]),
    )


def _partial(table: Mapping[str, Any], study: Study, root: Path) -> Shown:
    """A table of the cells that are finished."""
    kind = cast(TableModule, importlib.import_module(f"polyprune.report.tables.{table['module']}"))
    files = [[root / path for path in table[name]] for name in ("measurements", "paper", "evidence")]
    settings = TypeAdapter(TableSettings).validate_python(table["table"])
    titles = TypeAdapter(Titles).validate_python(table["titles"])
    report = kind.report(files[0], files[1], settings, titles, files[2])
    done, cells = table["cells"]
    return Shown(table["name"], study.tables[table["name"]], sheet_of(report.picture), (done, cells))


def _answer(found: Mapping[str, Any], root: Path) -> pd.DataFrame:
    """The study's own, or what its finished cells say."""
    if found["answer"]:
        return read_frame(root / found["answer"])
    return best_calibrations(
        load_columns((root / path for path in found["items"]), (root / path for path in found["dumps"]))
    )


def main() -> int:
    """Write the page that standard input describes."""
    found = json.load(sys.stdin)
    output = Path(found["output"])
    try:
        content = content_of(found, Path())
        page = render(content, machine.described(), machine.spent(content.study.titles.models))
        with atomic_write(output) as part:
            part.write_text(page, encoding="utf-8")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{output}: open it in a browser; it needs no network and no other file ({len(page.encode()) / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    raise SystemExit(run_command(main))
