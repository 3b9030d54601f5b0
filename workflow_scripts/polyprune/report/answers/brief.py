"""A table for a terminal: what fits 80 columns, and a sentence of what it says.

    python -m polyprune.report.answers.brief results/demo/table1.json

Of each model, method and scheme the first number that the table reports; the page beside it has the others.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from polyprune.artifacts.sheets import load_sheet
from polyprune.commands import run_command
from polyprune.errors import UserError

WIDTH = 80


def brief(sheet: Mapping[str, Any], page: str) -> str:
    """The text; `page` is where all of the table is."""
    grids = [(section, section["grids"][0]) for section in sheet["sections"]]
    parts = [_wrapped(sheet["title"])]
    for section, grid in grids:
        direction = {True: ", larger is better", False: ", smaller is better", None: ""}[grid["larger_is_better"]]
        title = grid["title"].rstrip(" ↑↓")
        parts.append("\n".join([_wrapped(f"{section['heading']}: {title}{direction}"), *_lines(section, grid)]))
    parts.append(_wrapped(sentence(grids)))
    others = list(dict.fromkeys(grid["title"] for section in sheet["sections"] for grid in section["grids"][1:]))
    more = f", with {', '.join(title.rstrip(' ↑↓') for title in others)}" if others else ""
    return "\n\n".join([*parts, _wrapped(f"* cannot be told from the best of its column. All of it{more}: {page}")])


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _lines(section: Mapping[str, Any], grid: Mapping[str, Any]) -> Iterator[str]:
    """Rows under their heads; columns that do not fit stand below."""
    texts = [
        [f"{text}{'*' if framed else ' '}" for text, framed in zip(row, frames, strict=True)]
        for row, frames in zip(grid["texts"], grid["frames"], strict=True)
    ]
    heads = [f"{head} " for head in grid["columns"]]
    label = max(map(len, section["rows"]))
    cell = max(len(text) for row in [heads, *texts] for text in row) + 1
    at_once = max(1, (WIDTH - label) // cell)
    for start in range(0, len(heads), at_once):
        chosen = slice(start, start + at_once)
        yield " " * label + "".join(text.rjust(cell) for text in heads[chosen])
        for name, row in zip(section["rows"], texts, strict=True):
            if any(text.strip() for text in row[chosen]):
                yield name.rjust(label) + "".join(text.rjust(cell) for text in row[chosen])


def sentence(grids: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> str:
    """How often the language of evaluation is the best calibration, or that the table does not ask that."""
    hits = columns = 0
    chance = 0.0
    for section, grid in grids:
        if grid["larger_is_better"] is None or "value" not in grid["numbers"]:
            continue
        values = grid["numbers"]["value"]
        single = [row for row, key in enumerate(section["keys"]) if "-" not in key and key not in ("dense", "target")]
        for column, code in enumerate(grid["keys"]):
            there = [row for row in single if values[row][column] is not None]
            known = {section["keys"][row]: float(values[row][column]) for row in there}
            if len(known) > 1 and (own := known.get(code.split("-")[0])) is not None:
                best = max(known.values()) if grid["larger_is_better"] else min(known.values())
                hits, columns = hits + (own == best), columns + 1
                chance += list(known.values()).count(best) / len(known)
    if not columns:
        return "No column of it has a choice of languages with its own among them."
    return (
        f"Calibrating in the language of evaluation is best in {hits} of {columns} columns; by chance it would be in "
        f"{chance:.1f}."
    )


def main() -> int:
    """Print tables by the JSON files that the command line names."""
    try:
        for name in sys.argv[1:]:
            path = Path(name)
            print(brief(load_sheet(path), str(path.with_suffix(".md"))))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(run_command(main))
