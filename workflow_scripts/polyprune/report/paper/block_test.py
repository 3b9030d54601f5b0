"""Does the target language help, block by block? The exact test of a block's labels, and what it is worth.

Rows, one a block and group of columns:

    table                     int32    of the paper
    model, method, scheme     string
    metric                    string   `all`, or one benchmark
    columns                   int32    evaluation languages times benchmarks
    over_others               double   target less the mean of the other languages, mean over columns, as printed
    over_english              double   target less English, over the columns that are not English; null without English
    above_english, of         int32    in how many of these columns the target is higher
    p_columns, p              double   PERM-2, columns centred; rows and columns centred
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from polyprune.grammar.paths import DENSE
from polyprune.grammar.titles import Titles
from polyprune.maths.permutation import permutation_p, target_advantage
from polyprune.report.names import method_rank
from polyprune.report.printed import BLOCK, NotInTablesError, as_matrix, over_english, targets

SINGLE_LANGUAGE_TABLES = (7, 9, 10, 11, 14, 15)
"""Tables of benchmarks with a row a language; table 2 is the 8B part of 7, table 13 a part of that."""
ALL = "all"


def compare_blocks(tables: Mapping[int, pd.DataFrame]) -> pd.DataFrame:
    """Every block of the tables in `SINGLE_LANGUAGE_TABLES`, all columns together and by benchmark."""
    rows = []
    for number in (number for number in SINGLE_LANGUAGE_TABLES if number in tables):
        cells = tables[number][tables[number]["method"] != DENSE]
        blocks = list(cells.groupby(BLOCK, sort=False))
        for names, block in sorted(blocks, key=lambda each: method_rank(str(each[0][1]))):
            about = {"table": number} | dict(zip(BLOCK, names, strict=True))
            rows += [about | row for row in _of_block(block)]
    return pd.DataFrame(rows)


def _of_block(block: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for metric in (ALL, *dict.fromkeys(block["metric"])):
        matrix = as_matrix(block, None if metric == ALL else [metric])
        try:
            own = targets(matrix)
        except NotInTablesError:
            continue
        values = matrix.to_numpy()
        english = over_english(matrix) if "en" in matrix.index else []
        yield {
            "metric": metric,
            "columns": len(own),
            "over_others": target_advantage(values, own),
            "over_english": sum(english) / len(english) if len(english) else None,
            "above_english": sum(each > 0 for each in english),
            "of": len(english),
            "p_columns": permutation_p(values, own, rows_too=False),
            "p": permutation_p(values, own),
        }


def render_blocks(rows: pd.DataFrame, title: str, titles: Titles) -> str:
    """Markdown: a line a block, all columns together."""
    lines = [
        f"# {title}",
        "",
        "Points by which calibrating in the language of evaluation is better, mean over the columns of a block. p: "
        "share of all relabellings of the calibrations, the same over all columns, that do as well (columns centred; "
        "rows and columns centred, so that a language that is good or bad everywhere is no evidence). From means: "
        "noise of questions needs no estimate here, but one draw of calibration text is behind most tables, and blocks "
        "are not corrected for their number.",
        "",
        "| table | model, method, scheme | over the others | over English (columns above) | p, columns | p, both |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows[rows["metric"] == ALL].to_dict("records"):
        name = titles.heading(row["model"], row["method"], row["scheme"])
        english = f"{row['over_english']:+.2f} ({row['above_english']} of {row['of']})" if row["of"] else "-"
        p = f"{row['p_columns']:.4f} | {row['p']:.4f}"
        lines.append(f"| {row['table']} | {name} | {row['over_others']:+.2f} | {english} | {p} |")
    return "\n".join(lines).replace("-0.", "−0.") + "\n"
