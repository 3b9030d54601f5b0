"""`table{n}.json`: what a table's picture shows and what stands behind each number, for pages that draw it again.

    title, caption, ends      the picture's; `ends` name the ends of the scale of shades
    sections                  a list, one a model, method and scheme:
      heading, down, rows     titles; what rows are; their labels
      block                   [model, method, scheme]
      keys                    rows as results spell them: `dense`, `de`, `de-en`, `target`; or matrices
      rule                    above which row a line is drawn; null for none
      grids                   a list, one a metric:
        title, across, note, columns, keys        likewise, of columns
        larger_is_better      null where neither is
        texts                 [row][column], as printed
        shades                [row][column], 0 (best) to 1; null where a cell has none
        frames                [row][column], what cannot be told from the best
        numbers               by name (`report/tables/blocks.py`) [row][column]; null where not known, "Infinity"

Header, beside it: what the table was made with. Schema `sheet/1`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polyprune.artifacts.identity import Header
from polyprune.artifacts.json_files import load_record, save_record

SCHEMA = "sheet/1"
CONTENT = ("title", "caption", "ends", "sections")


def save_sheet(path: Path, content: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """Write the file; `content` has the entries of `CONTENT`."""
    save_record(path, SCHEMA, {**about, **{name: content[name] for name in CONTENT}})


def load_sheet(path: Path, expected: Header | None = None) -> dict[str, Any]:
    """Content and header. Raises `UserError` if the file is missing, damaged, or not what was asked for."""
    return load_record(path, SCHEMA, expected)
