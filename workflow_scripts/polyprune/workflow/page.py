"""What there is of a study for its page, finished or not. Starts nothing.

    python -m polyprune.workflow.page [STUDY] [--configfile FILE] | python -m polyprune.report.page

It prints a JSON object for `polyprune.report.page`: `study`, what the page says of it; the files there are: `sheets`,
`pictures`, `answer`, `claims`, `manifests`, `corpora`; of tables that are not finished what can be shown of them
(`partial`), and of a missing answer `items` and `dumps`; `lines` of the ledger, none if nothing is outstanding;
`parts`, how far its tables and figures are; `made`, how many cells are compressed; `finish`, what to type; `output`.
What is shown is what lies there, as for `make answer`, and an answer that is to be made again is one of what lies there
now; what is finished, Snakemake's plan says.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from polyprune.commands import run_command
from polyprune.errors import UserError
from polyprune.grammar.methods import artifact_of
from polyprune.grammar.paths import PAPER, Cell, cell_of, study_path
from polyprune.grammar.reports import TABLES
from polyprune.grammar.spelling import nearest
from polyprune.settings.config import Settings
from polyprune.settings.load import SHIPPED_FILES
from polyprune.workflow.inputs import Inputs
from polyprune.workflow.ledger import Line, cells_of, incomplete_outputs, ledger, planned_jobs, read_config, tidy
from polyprune.workflow.spec_values import page_of_study, titles_of
from polyprune.workflow.starts import file_of
from polyprune.workflow.targets import PAGE
from polyprune.workflow.writable import require_writable


def page(
    settings: Settings,
    study: str,
    lines: Sequence[Line],
    planned: Collection[str],
    root: Path,
    words: Sequence[str] = (),
) -> dict[str, Any]:
    """What the module prints: `planned` files are still to be made, `root` is where `results/` is.

    `words` name the configuration files for Snakemake.
    """
    inputs = Inputs(settings, root)
    entry = settings.studies[study]

    def there(paths: Iterable[str]) -> list[str]:
        return [path for path in paths if (root / path).is_file()]

    sheets, pictures = there(inputs.sheets(study)), there(inputs.pictures(study))
    answer = _there([study_path(study, "best_calibration.parquet")], planned, root)
    claims = there([study_path(study, "claims.parquet")])
    open_tables = [name for name in entry.tables if study_path(study, f"{name}.json") not in sheets]
    parts = [_part(inputs, study, name, planned, root) for name in (*entry.tables, *entry.figures)]
    unfinished = bool(lines and lines[-1].outstanding + lines[-1].incomplete)
    finished = not unfinished and all(part["state"] == "finished" for part in parts)
    return {
        "study": page_of_study(settings, study),
        "sheets": sheets,
        "pictures": pictures,
        "answer": answer[0] if answer else None,
        "claims": claims[0] if claims else None,
        "items": [] if answer else there(inputs.answers(study)),
        "dumps": [] if answer else there(inputs.dumps_of_study(study)),
        "manifests": there(inputs.manifests(study)),
        "corpora": there(inputs.texts(study)),
        "partial": [found for name in open_tables if (found := _partial(settings, inputs, study, name, root))],
        "lines": [] if finished else list(tidy(lines)),
        "parts": parts,
        "made": len(_there([artifact_of(cell) for cell in entry.all_cells()], planned, root)),
        "finish": " ".join(["snakemake --profile local", *words, "--", study, study_path(study, PAGE)]),
        "output": study_path(study, PAGE),
    }


def _there(paths: Iterable[str], planned: Collection[str], root: Path) -> list[str]:
    """Those that lie there and need not be made again."""
    return [path for path in paths if path not in planned and (root / path).is_file()]


def _part(inputs: Inputs, study: str, name: str, planned: Collection[str], root: Path) -> dict[str, Any]:
    """How far a table or a figure is, of `report/page/content.py`."""
    entry = inputs.settings.studies[study]
    table = entry.tables.get(name)
    picture = study_path(study, f"{name}.{'json' if table else 'png'}")
    files = _by_cell(inputs.measurements(study, name) + (inputs.evidence(study, name) if table else []))
    cells = entry.cells(name)
    done = 0
    for cell in cells:
        needed = files.get(cell) or [artifact_of(cell)]
        done += len(_there(needed, planned, root)) == len(needed)
    there = (root / picture).is_file()
    state = "outstanding" if not there else "outdated" if picture in planned else "finished"
    title = (table or entry.figures[name]).title
    return {"name": name, "title": title, "state": state, "done": done, "cells": len(cells)}


def _partial(settings: Settings, inputs: Inputs, study: str, name: str, root: Path) -> dict[str, Any] | None:
    """A table of the cells whose files are all there, if it is one that can do without the others."""
    entry = settings.studies[study]
    table, cells = entry.tables[name], entry.cells(name)
    measured = _by_cell(inputs.measurements(study, name))
    evidence = _by_cell(inputs.evidence(study, name))

    def whole(paths: Iterable[str]) -> bool:
        return all((root / path).is_file() for path in paths)

    dense = measured.get(None, [])
    models = {
        cell.model for cell in cells if whole(path for path in dense if path.startswith(f"results/{cell.model}/"))
    }
    of_models = [cell for cell in cells if cell.model in models and cell in measured]
    done = [cell for cell in of_models if whole([*measured[cell], *evidence.get(cell, [])])]
    if not done or (table.references and len(done) < len(cells)):
        return None
    shown = {cell.model for cell in done}
    return {
        "name": name,
        "module": TABLES[table.report].module,
        "table": table.model_dump(mode="json", exclude={"grids"}),
        "titles": titles_of(settings, done, table.benchmarks),
        "measurements": [
            *(path for path in dense if path.split("/")[1] in shown),
            *(path for cell in done for path in measured[cell]),
        ],
        "evidence": [path for cell in done for path in evidence.get(cell, [])],
        "paper": inputs.printed(study, name),
        "cells": [len(done), len(cells)],
    }


def _by_cell(paths: Iterable[str]) -> dict[Cell | None, list[str]]:
    found: dict[Cell | None, list[str]] = {}
    for path in paths:
        found.setdefault(cell_of(path), []).append(path)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Print the object; 1 and what to do if there is no such study."""
    parser = argparse.ArgumentParser(prog="python -m polyprune.workflow.page", description=main.__doc__)
    parser.add_argument("study", nargs="?", default=PAPER, help="the paper's if not given")
    parser.add_argument("--configfile", type=Path, action="append", default=[], help="as for snakemake")
    options = parser.parse_args(argv)
    try:
        settings = read_config([*map(Path, SHIPPED_FILES), *options.configfile])
        if options.study not in settings.studies:
            file = file_of(options.study)
            where = f"; it is in {file}: make report STUDY={options.study} CONFIGFILE={file}" if file else ""
            raise UserError(f"STUDY: {options.study!r} is {nearest(options.study, settings.studies)}{where}")
        require_writable([study_path(options.study, PAGE)])
        words = ["--configfile", *map(str, options.configfile)] if options.configfile else []
        jobs = planned_jobs([options.study], words)
        lines = ledger(settings, cells_of(settings, [options.study]), jobs, incomplete_outputs())
        planned = {path for job in jobs for path in job["output"]}
        print(json.dumps(page(settings, options.study, lines, planned, Path(), words)))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(run_command(main))
