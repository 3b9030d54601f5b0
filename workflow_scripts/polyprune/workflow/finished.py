"""What is finished of one question, in which language to calibrate a model for a language: files, and what lacks.

    python -m polyprune.workflow.finished --model KEY --language CODE [--method NAME] [--configfile FILE]…

It prints a JSON object for `polyprune.report.answers.ask`: `model`, `title`, `language`; `items`, `dumps`: the files
there are, of all studies' cells of the model; `cells`: of each method and scheme how many cells there are to be and are
finished, with calibrations that have none; `targets`, `configfiles`: what to ask Snakemake for. Finished is what lies
there: whether a changed setting asks for it again, `make outstanding` says.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from polyprune.commands import run_command
from polyprune.errors import UserError
from polyprune.grammar.methods import METHODS
from polyprune.grammar.paths import Cell, cell_of, study_path
from polyprune.grammar.spelling import nearest
from polyprune.settings.config import Settings
from polyprune.settings.load import SHIPPED_FILES
from polyprune.workflow.inputs import Inputs
from polyprune.workflow.ledger import read_config

PAGE = "best_calibration.md"


def finished(
    settings: Settings,
    model: str,
    language: str,
    method: str | None,
    root: Path,
    configfiles: Sequence[Path] = (),
) -> dict[str, Any]:
    """What the module prints; `root` is where `results/` is, `configfiles` are those that were named.

    Raises:
        UserError: no such model, language or method, or no study has cells of it.
    """
    _check(settings, model, language, method, configfiles)
    inputs = Inputs(settings, root)
    answers, dumps, targets = dict[str, Cell](), dict[str, Cell](), []
    for study in settings.studies:
        found = [
            _of_question(inputs.answers(study), model, method),
            _of_question(inputs.dumps_of_study(study), model, method),
        ]
        answers |= found[0]
        dumps |= found[1]
        targets += [study_path(study, PAGE)] if any(found) else []
    if not targets:
        by = f" by {method}" if method else ""
        raise UserError(
            f"no study compresses {model}{by}: add a grid and a table of it to a study{_elsewhere(configfiles)}"
        )
    wanted = answers | dumps
    there = {path for path in wanted if (root / path).is_file()}
    return {
        "model": model,
        "title": settings.models[model].title,
        "benchmarks": {name: each.title for name, each in settings.all_benchmarks.items()},
        "language": language,
        "items": [path for path in answers if path in there],
        "dumps": [path for path in dumps if path in there],
        "cells": _progress(wanted, there),
        "targets": targets,
        "configfiles": list(map(str, configfiles)),
    }


def _elsewhere(configfiles: Sequence[Path]) -> str:
    """How to name a file of the user's, if none was."""
    return "" if configfiles else " (a study in a file of your own: CONFIGFILE=file.yaml)"


def _check(settings: Settings, model: str, language: str, method: str | None, configfiles: Sequence[Path]) -> None:
    if not (model and language):
        raise UserError(
            "say of which model and for which language, as make answer MODEL=tiny-llama LANGUAGE=de; models: "
            f"{', '.join(sorted(settings.models))}{_elsewhere(configfiles)}"
        )
    if model not in settings.models:
        raise UserError(f"MODEL: {model!r} is {nearest(model, settings.models)}{_elsewhere(configfiles)}")
    if language not in settings.languages_of(model):
        raise UserError(f"LANGUAGE: {language!r} is {nearest(language, settings.languages_of(model))}")
    known = [*METHODS, *settings.imported_methods]
    if method is not None and method not in known:
        raise UserError(f"METHOD: {method!r} is {nearest(method, known)}")


def _of_question(paths: Sequence[str], model: str, method: str | None) -> dict[str, Cell]:
    """Files of the model's cells, by one method if it is given."""
    cells = {path: cell_of(path) for path in paths}
    return {
        path: cell for path, cell in cells.items() if cell and cell.model == model and method in (None, cell.method)
    }


def _progress(wanted: dict[str, Cell], there: set[str]) -> list[dict[str, Any]]:
    """Of each method and scheme: cells in all, those with all their files, calibrations without such a cell."""
    files: dict[tuple[str, str], dict[Cell, list[bool]]] = {}
    for path, cell in wanted.items():
        files.setdefault((cell.method, cell.scheme), {}).setdefault(cell, []).append(path in there)
    lines = []
    for (method, scheme), cells in files.items():
        whole = [cell for cell, found in cells.items() if all(found)]
        lacking = dict.fromkeys(cell.calibration for cell in cells)
        lines.append(
            {
                "method": method,
                "scheme": scheme,
                "cells": len(cells),
                "finished": len(whole),
                "lacking": [name for name in lacking if name not in {cell.calibration for cell in whole}],
            }
        )
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    """Print the object; 1 and what to do if the question cannot be asked."""
    parser = argparse.ArgumentParser(prog="python -m polyprune.workflow.finished", description=main.__doc__)
    parser.add_argument("--model", required=True, help="key in config.yaml")
    parser.add_argument("--language", required=True, help="language of evaluation, e.g. de")
    parser.add_argument("--method", help="all if not given")
    parser.add_argument("--configfile", type=Path, action="append", default=[], help="as for snakemake")
    options = parser.parse_args(argv)
    try:
        settings = read_config([*map(Path, SHIPPED_FILES), *options.configfile])
        question = options.model, options.language, options.method or None
        print(json.dumps(finished(settings, *question, Path(), options.configfile)))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(run_command(main))
