"""One question answered from what is finished: in which language to calibrate a model for a language.

    python -m polyprune.workflow.finished --model … --language … | python -m polyprune.report.answers.ask

Of each method and scheme a sentence, a small table, what all languages say together, and what is outstanding.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from polyprune.commands import run_command
from polyprune.errors import UserError
from polyprune.grammar.methods import traits_of
from polyprune.grammar.titles import Titles
from polyprune.report.answers.answer import best_calibrations
from polyprune.report.answers.answer_text import NOTES, block_sentence, languages_in, sentence, table
from polyprune.report.measured import load_columns
from polyprune.report.names import calibration_label, language_of

Question = Mapping[str, Any]
"""What `workflow/finished.py` prints."""


def respond(question: Question, root: Path) -> str:
    """The answer.

    Raises:
        UserError: nothing that is finished can be compared; says what to type.
    """
    measured = load_columns((root / path for path in question["items"]), (root / path for path in question["dumps"]))
    rows, language = best_calibrations(measured), question["language"]
    if not len(rows) or language not in languages_in(rows):
        done = sum(line["finished"] for line in question["cells"])
        cells = sum(line["cells"] for line in question["cells"])
        raise UserError(
            f"nothing can be said of {question['title']} in {language.upper()} yet: {done} of {cells} cells are "
            f"finished, and it takes two calibrations of one method and scheme. {_type_this(question)}"
        )
    titles = Titles(
        {question["model"]: question["title"]},
        {line["method"]: traits_of(line["method"]).title for line in question["cells"]},
        question["benchmarks"],
    )
    parts, alone = [], []
    for line in question["cells"]:
        block = rows[(rows["method"] == line["method"]) & (rows["scheme"] == line["scheme"])]
        if language not in languages_in(block):
            title = titles.compression(line["method"], line["scheme"])
            alone.append(f"{title} ({line['finished']} of {line['cells']} cells are finished)")
            continue
        heading = f"## {titles.heading(question['model'], line['method'], line['scheme'])}, for {language.upper()}"
        parts.append("\n\n".join([heading, *_of_block(block, language, titles), outstanding(line)]))
    if alone:
        parts.append(f"Nothing to compare yet, for it takes two calibrations: {'; '.join(alone)}.")
    if any(line["finished"] < line["cells"] for line in question["cells"]):
        parts.append(_type_this(question))
    return "\n\n".join([*parts, NOTES])


def _of_block(block: pd.DataFrame, language: str, titles: Titles) -> list[str]:
    """What one method and scheme say of the language."""
    found = block[block["eval_language"].map(language_of) == language]
    known = languages_in(block)
    return [sentence(found, language, titles, known), table(found, titles, known), block_sentence(block, titles)]


def _type_this(question: Question) -> str:
    files, targets = question["configfiles"], " ".join(question["targets"])
    option = f"--configfile {' '.join(files)} " if files else ""
    variable = f" CONFIGFILE='{' '.join(files)}'" if files else ""
    return (
        f"To finish it: snakemake --profile local {option}-- {targets} (what is outstanding, and its cost: make "
        f"outstanding{variable})"
    )


def outstanding(line: Mapping[str, Any]) -> str:
    """`4 of 14 cells are finished: this may change; without all that is to be measured in any draw: ES, RU.`"""
    if line["finished"] == line["cells"]:
        return f"All {line['cells']} cells of the studies are finished."
    text = f"{line['finished']} of {line['cells']} cells are finished: this may change"
    lacking = [calibration_label(name) for name in line["lacking"]]
    return f"{text}; without all that is to be measured in any draw: {', '.join(lacking)}." if lacking else f"{text}."


def main() -> int:
    """Answer the question on standard input."""
    try:
        print(respond(json.load(sys.stdin), Path()))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(run_command(main))
