"""A study's tables beside the paper's: a row a printed cell.

    table                                    int32
    model, method, scheme, calibration, metric, eval_language   string
    score                                    string   what is counted in ours: acc, f1, f1_ws; null but for benchmarks
    ours, ours_std, n_seeds                  double, double, int32   mean and std over seeds
    paper, paper_std                         double   as printed; std is printed for a part of table 7 only, whose cells
                                                      tables 2 and 13 repeat
    difference                               double   ours less theirs
    spread                                   double   √(ours_std² + paper_std²): of the difference between two runs;
                                                      of the one that is known where the other is not; null for neither
    spread_of                                string   both, ours, paper
    in_spreads                               double   difference / spread; null where there is no spread
    rank_correlation                         double   Spearman's, of the column's single-language calibrations; null of
                                                      fewer than three, or where one side's are all equal

Our mean over seeds and theirs over three runs lie closer than two runs: from |in_spreads| of 2 on a cell differs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from polyprune.grammar.calibrations import is_single_language
from polyprune.grammar.paths import DENSE
from polyprune.grammar.titles import Titles
from polyprune.report.names import language_of
from polyprune.report.printed import BLOCK, COLUMN, GROUP, SMALLER_IS_BETTER, means_of

OF_COLUMN = ["table", *BLOCK, *COLUMN]
FAR = 2.0
OWN_UNITS = ("perplexity", "snr", "pruning_error")
"""Metrics that cannot be put together with others."""


def beside_paper(ours: Mapping[int, pd.DataFrame], paper: Mapping[int, pd.DataFrame]) -> pd.DataFrame:
    """Every cell that both have. `ours` are long rows by the paper's number of the table, `paper` its printed ones."""
    spreads = printed_spreads(paper)
    shared = sorted(set(ours) & set(paper))
    cells = pd.concat([_cells(number, ours[number], paper[number], spreads) for number in shared], ignore_index=True)
    known = cells[["ours_std", "paper_std"]].notna()
    cells["difference"] = cells["ours"] - cells["paper"]
    spread = (cells[["ours_std", "paper_std"]] ** 2).sum(axis=1) ** 0.5
    cells["spread"] = spread.where(known.any(axis=1))
    cells["spread_of"] = np.select(
        [known.all(axis=1), known["ours_std"], known["paper_std"]], ["both", "ours", "paper"], default=""
    )
    cells["spread_of"] = cells["spread_of"].replace("", None)
    cells["in_spreads"] = (cells["difference"] / cells["spread"]).where(cells["spread"] > 0)
    correlations = [
        dict(zip(OF_COLUMN, names, strict=True)) | {"rank_correlation": rank_correlation(column)}
        for names, column in cells.groupby(OF_COLUMN, sort=False)
    ]
    columns = pd.DataFrame(correlations, columns=[*OF_COLUMN, "rank_correlation"])
    return cells.merge(columns, how="left", on=OF_COLUMN).astype({"table": "int32"})


def _cells(number: int, ours: pd.DataFrame, paper: pd.DataFrame, spreads: pd.DataFrame) -> pd.DataFrame:
    means = means_of(ours).rename(columns={"mean": "ours", "std": "ours_std"})
    means = means.merge(ours.drop_duplicates(GROUP)[[*GROUP, "score"]], on=GROUP, validate="one_to_one")
    printed = paper[[*GROUP, "mean"]].merge(spreads, how="left", on=[*GROUP, "mean"])
    printed = printed.rename(columns={"mean": "paper", "std": "paper_std"})
    return means.merge(printed, on=GROUP, validate="one_to_one").assign(table=number)


def printed_spreads(paper: Mapping[int, pd.DataFrame]) -> pd.DataFrame:
    """The standard deviations of all tables, by cell and mean: a number in print that another table repeats is it."""
    found = pd.concat([table[[*GROUP, "mean", "std"]] for table in paper.values()])
    return found[found["std"].notna()].drop_duplicates([*GROUP, "mean"])


def rank_correlation(column: pd.DataFrame) -> float:
    """Spearman's ρ of `ours` and `paper` over the single-language calibrations."""
    single = column[column["calibration"].map(is_single_language)]
    ranks = single[["ours", "paper"]].rank()
    if len(ranks) < 3 or (ranks.nunique() == 1).any():
        return float("nan")
    return float(np.corrcoef(ranks["ours"], ranks["paper"])[0, 1])


def diagonal(column: pd.DataFrame, values: str) -> bool | None:
    """Whether calibrating in the column's own language is best, alone or tied; None where that cell is not there.

    Means are equal where their counts are (`exact_mean`), and printed ones where their digits are.
    """
    single = column[column["calibration"].map(is_single_language)].set_index("calibration")[values]
    metric, language = column["metric"].iloc[0], language_of(column["eval_language"].iloc[0])
    if language not in single.index or len(single) < 2:
        return None
    best = single.min() if metric in SMALLER_IS_BETTER else single.max()
    return bool(single[language] == best)


def block_lines(cells: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """A line a table, model, method, scheme and unit; the uncompressed model is one, too."""
    of_unit = cells["metric"].where(cells["metric"].isin(OWN_UNITS), "")
    for names, block in cells.groupby(["table", *BLOCK, of_unit], sort=False):
        line: dict[str, Any] = dict(zip(["table", *BLOCK, "of"], names, strict=True))
        columns = [column for _, column in block.groupby(COLUMN, sort=False)]
        pairs = [(diagonal(column, "ours"), diagonal(column, "paper")) for column in columns]
        known = [pair for pair in pairs if pair[0] is not None]
        yield line | {
            "cells": len(block),
            "median_difference": block["difference"].median(),
            "median_distance": block["difference"].abs().median(),
            "measured": int(block["in_spreads"].notna().sum()),
            "far": int((block["in_spreads"].abs() > FAR).sum()),
            "rank_correlation": float(np.mean([c for c in map(rank_correlation, columns) if c == c] or [np.nan])),
            "ours_diagonal": sum(bool(ours) for ours, _ in known),
            "paper_diagonal": sum(bool(paper) for _, paper in known),
            "columns": len(known),
        }


def block_title(model: str, method: str, scheme: str, titles: Titles) -> str:
    """The heading of a block; the uncompressed model is one, too."""
    return f"{titles.models[model]}, uncompressed" if method == DENSE else titles.heading(model, method, scheme)


def render_versus(cells: pd.DataFrame, title: str, titles: Titles) -> str:
    """Markdown: a line a block."""
    lines = [f"# {title}", ""]
    if cells.empty:
        return "\n".join([*lines, "The paper prints no cell of this study.", ""])
    lines += [
        f"{len(cells)} cells that the paper prints. Difference: ours less theirs, in the table's unit; far: beyond "
        f"{FAR:g} times the spread between two runs (of the cells for which one is known). ρ: Spearman's, mean over "
        "columns of a block. Diagonal: columns in which the language of evaluation is the best calibration, or ties.",
        "",
        "| table | block | cells | median difference | median distance | far | ρ | diagonal, ours | diagonal, paper |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for line in block_lines(cells):
        name = f"{line['of']} {block_title(line['model'], line['method'], line['scheme'], titles)}".lstrip()
        correlation = line["rank_correlation"]
        counts = [
            f"{line[f'{who}_diagonal']} of {line['columns']}" if line["columns"] else "-" for who in ("ours", "paper")
        ]
        numbers = f"{line['median_difference']:+.3g} | {line['median_distance']:.3g}"
        far = f"{line['far']} of {line['measured']}" if line["measured"] else "-"
        rho = f"{correlation:.2f}" if correlation == correlation else "-"
        lines.append(
            f"| {line['table']} | {name} | {line['cells']} | {numbers} | {far} | {rho} | {' | '.join(counts)} |"
        )
    return "\n".join(lines) + "\n"
